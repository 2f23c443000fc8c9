"""Every benchmark, one table of ratios, one JSON file.

Runs each ``benchmarks/*.py`` in an interpreter of its own and shows what it prints. Whatever stands under a
key ``ratio`` or ``…_ratio`` in its JSON becomes a row of the table at the end; ``at_most`` or ``at_least``
beside it is its bar. What could not be measured is a row too, with the reason.

    python benchmarks/all.py [--venvs DIR] [--quick] [--only NAME …] [--args NAME "ARGUMENTS"] [--json FILE]

    python benchmarks/all.py --venvs ~/.cache/textgym-peers --json figures.json
    python benchmarks/all.py --only rollout_peers --args rollout_peers "--only textgym aiohttp --repeats 1"

Other systems are measured with ``--venvs``, where they are installed when they are missing (2 GB). The whole
takes about an hour on two quiet cores; ``--quick`` takes small sizes to see that everything works, and its
figures mean little. The exit status is 1 where a benchmark failed, whatever the bars say.
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
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
QUICK = {
    "import_time": "--repeats 3",
    "live_episodes": "--most 1000",
    "local_decoding": "--repeats 1",
    "rollout_overhead": "--episodes 300 --repeats 1",
    "rollout_peers": "--episodes 256 --repeats 1 --turns 5",
    "sandbox": "--repeats 1 --calls 5 --flat 20",
    "scheduling_simulation": "--replicas 8 100 --batches 4",
    "tokens": "--turns 8 32 --repeats 1",
    "vector_stepping": "--steps 400 --repeats 1",
    "verify_math": "--rounds 1",
}
"""Arguments with ``--quick``."""


def names() -> list[str]:
    """The benchmarks, by file."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem != Path(__file__).stem)


def run(name: str, venvs: str | None, arguments: list[str]) -> dict[str, Any]:
    """Run one benchmark: its JSON under ``figures``, or how it ``failed``, or what is ``missing`` for it."""
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
        status, said = _watched(command)
        result: dict[str, Any] = {"seconds": round(time.perf_counter() - began, 1)}
        if status and said.startswith("ModuleNotFoundError"):
            result["missing"] = said.partition(": ")[2]
        elif status:
            result["failed"] = f"ended with {status}: {said}"
        elif kept.is_file():
            result["figures"] = json.loads(kept.read_text("utf-8"))
        return result


def _watched(command: list[str]) -> tuple[int, str]:
    """Run a command in this terminal; its status and the last line of its standard error."""
    said = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            said = line.strip() or said
    return process.returncode, said


def rows(figures: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """Where, how much, and what the bar says, of everything that is compared."""
    if isinstance(figures, list):
        figures = {str(at): inner for at, inner in enumerate(figures)}
    if not isinstance(figures, dict):
        return
    where = ", ".join(part for part in path if part != "compared")
    bar = [
        (word, figures[key])
        for key, word in (("at_most", "at most"), ("at_least", "at least"))
        if key in figures
    ]
    for name in [key for key in figures if key == "ratio" or key.endswith("_ratio")]:
        value = figures[name]
        verdict = ""
        for word, limit in bar:
            holds = value <= limit if word == "at most" else value >= limit
            verdict = f"{'holds' if holds else 'FAILS'} ({word} {limit})"
        yield where if name == "ratio" else ", ".join((*path, name)), f"{value:.2f}", verdict
    if "missing" in figures:
        limits = "".join(f" ({word} {limit})" for word, limit in bar)
        yield where, "-", f"NOT MEASURED{limits}: {figures['missing']}"
    for key, inner in figures.items():
        yield from rows(inner, (*path, str(key)))


def show(results: dict[str, Any]) -> None:
    """The table at the end, and how many bars hold."""
    print(f"\n{'':<76}{'ratio':>9}  bar")
    verdicts: Counter[str] = Counter()
    for name, result in results.items():
        reasons = [f"{key.upper()}: {result[key]}" for key in ("failed", "missing") if key in result]
        print("  ".join([name, *reasons]))
        for where, value, verdict in rows(result.get("figures")):
            print(f"  {where:<74}{value:>9}  {verdict}")
            if "(at " in verdict:
                verdicts[verdict.partition(" (")[0]] += 1
    print("bars: " + (", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) or "none"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--venvs", metavar="DIR", help="where the peers' environments are kept or made")
    parser.add_argument("--quick", action="store_true", help="small sizes: does everything work?")
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
        quick = shlex.split(QUICK[name]) if options.quick else []
        results[name] = run(name, options.venvs, [*quick, *chosen.get(name, [])])
    show(results)
    if options.json:
        machine = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "processors": os.cpu_count(),
            "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        }
        document = {"machine": machine, "quick": options.quick, "benchmarks": results}
        Path(options.json).write_text(json.dumps(document, indent=2), "utf-8")
    if any("failed" in result for result in results.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
