"""Other systems doing the same work: one short program a system, run by its own interpreter.

``conversation`` is what all of them play and how it is measured; ``toy`` is the environment that vector
environments step. Both need nothing but the standard library. ``venvs`` makes the virtual environments.

Invariant: a program prints one JSON line, or fails with a message; it never prints figures of work that was
not done.
"""
