"""What is known to get out: backend -> attack -> why it cannot be kept in there.

Invariant: the table of a backend is exactly what gets out of it; the tests fail for an attack that is missing here
and for one that is listed and held. ``EVERYWHERE`` holds for each of them.
"""

from __future__ import annotations

EVERYWHERE: dict[str, str] = {}

KNOWN: dict[str, dict[str, str]] = {
    "bubblewrap": {},
    "namespaces": {},
    "landlock": {
        "ask whether a path exists": "Landlock does not cover stat, and a filter of calls sees no paths",
        "ask whether a path exists by other calls": "as above",
        "learn the host's name": "it has no namespace of names",
    },
}
