"""What does ``import textgym`` cost beside ``import gymnasium``?

CPU time of fresh interpreters, less that of an empty one, in alternating order; medians.

    python benchmarks/import_time.py [--repeats 15] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path


def cpu(code: str) -> float:
    """User and system CPU seconds of a fresh interpreter that runs the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    repeats = options.repeats
    codes = {"empty": "pass", "gymnasium": "import gymnasium", "textgym": "import textgym"}
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(repeats + 1):
        for name, code in codes.items():
            times[name].append(cpu(code))
    empty, theirs, ours = (statistics.median(times[name][1:]) for name in codes)
    ratio = (ours - empty) / (theirs - empty)
    print(
        f"gymnasium {(theirs - empty) * 1e3:.0f} ms CPU, textgym {(ours - empty) * 1e3:.0f} ms, "
        f"ratio {ratio:.2f} (medians of {repeats})"
    )
    if options.json:
        figures = {"gymnasium_ms": (theirs - empty) * 1e3, "textgym_ms": (ours - empty) * 1e3, "ratio": ratio}
        Path(options.json).write_text(json.dumps(figures, indent=2), "utf-8")


if __name__ == "__main__":
    main()
