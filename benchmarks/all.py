"""Every benchmark, one table of ratios, one JSON file.

Runs each ``benchmarks/*.py`` in an interpreter of its own and shows what it prints. Whatever stands under a
key ``ratio`` or ``…_ratio`` in its JSON becomes a row of the table at the end; ``at_most`` or ``at_least``
beside it is its bar.

    python benchmarks/all.py [--venvs DIR] [--only NAME …] [--args NAME "ARGUMENTS"] [--json FILE]

    python benchmarks/all.py --venvs ~/.cache/textgym-peers --json figures.json python benchmarks/all.py
    --only rollout_peers vector_stepping --args rollout_peers "--episodes 200 --repeats 1"

A benchmark that fails is a row too. The whole takes about half an hour on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks, by file."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem != Path(__file__).stem)


def run(name: str, venvs: str | None, arguments: list[str]) -> dict[str, Any]:
    """Run one benchmark: its JSON under ``figures``, or how it failed."""
    path = HERE / f"{name}.py"
    source = path.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "figures.json"
        command = [sys.executable, str(path), *arguments]
        if '"--json"' in source:
            command += ["--json", str(kept)]
        if venvs is not None and '"--venvs"' in source:
            command += ["--venvs", venvs]
        began = time.perf_counter()
        status = subprocess.run(command).returncode
        result: dict[str, Any] = {"seconds": round(time.perf_counter() - began, 1)}
        if status:
            result["failed"] = f"ended with {status}"
        elif kept.is_file():
            result["figures"] = json.loads(kept.read_text("utf-8"))
        return result


def ratios(figures: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, float, str]]:
    """Where, how much, and what the bar says, of every ``ratio``."""
    if not isinstance(figures, dict):
        return
    for name in [key for key in figures if key == "ratio" or key.endswith("_ratio")]:
        value = figures[name]
        verdict = ""
        if "at_most" in figures:
            verdict = f"{'holds' if value <= figures['at_most'] else 'FAILS'} (at most {figures['at_most']})"
        elif "at_least" in figures:
            verdict = (
                f"{'holds' if value >= figures['at_least'] else 'FAILS'} (at least {figures['at_least']})"
            )
        parts = [*path, *([name] if name != "ratio" else [])]
        yield ", ".join(part for part in parts if part != "compared"), float(value), verdict
    for key, inner in figures.items():
        yield from ratios(inner, (*path, str(key)))


def show(results: dict[str, Any]) -> None:
    """The table at the end."""
    print(f"\n{'':<76}{'ratio':>9}  bar")
    for name, result in results.items():
        print(f"{name}{'  ' + result['failed'] if 'failed' in result else ''}")
        for where, value, verdict in ratios(result.get("figures")):
            print(f"  {where:<74}{value:>9.2f}  {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--venvs", metavar="DIR", help="where the peers' environments are kept")
    parser.add_argument("--only", nargs="+", choices=names(), default=names(), metavar="NAME")
    parser.add_argument("--args", nargs=2, action="append", default=[], metavar=("NAME", "ARGUMENTS"))
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    chosen = {name: shlex.split(text) for name, text in options.args}
    unknown = sorted(chosen.keys() - set(names()))
    if unknown:
        parser.error(f"--args names {', '.join(unknown)}: it must be one of {', '.join(names())}")
    results = {}
    for name in options.only:
        print(f"\n=== {name}", flush=True)
        results[name] = run(name, options.venvs, chosen.get(name, []))
    show(results)
    if options.json:
        machine = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "processors": os.cpu_count(),
            "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        }
        document = {"machine": machine, "benchmarks": results}
        Path(options.json).write_text(json.dumps(document, indent=2), "utf-8")
    if any("failed" in result for result in results.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
