"""What does a call of the sandbox cost beside starting a bare interpreter, and is it flat over many calls?

For every backend of this machine: a warm stateless call, a call in a session, a function called with ten inputs,
and the throughput of 16 callers, beside fresh interpreters that run ``pass`` (``python -c`` and
``python -I -S -c``) in alternating order; then 1,000 calls with memory, descriptors and processes before and
after. Last, the calculator.

    python benchmarks/sandbox.py [--repeats 5] [--calls 40] [--flat 1000] [--backends ...] [--json FILE]

Figures are medians over the repeats of medians over the calls; a ratio below 1 is faster than a bare interpreter.
What else the machine does is in the wall times: read the ratios. Bars: a warm call costs less than ``python -c
pass``; 1,000 calls leave no descriptor and no process behind; the calculator needs at most 50 µs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textgym.errors import TextgymError
from textgym.sandbox import Sandbox

BACKENDS = ("bubblewrap", "namespaces", "landlock")
BARE = {"python -c pass": ["-c", "pass"], "python -I -S -c pass": ["-I", "-S", "-c", "pass"]}
PLAIN = "python -c pass"
CODE = "print(sum(range(10)))"
FUNCTION = "def f(x):\n    return x * x"
INPUTS = [[n] for n in range(10)]
CALLERS = 16
EXPRESSIONS = ("1 + 2 * 3", "(17.5 - 3) / 2 ** 4", "sqrt(2) * 10", "1,234 * 5%", "10!")
CALCULATOR_BAR = 50e-6


def seconds(action: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def bare(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], check=True)


def together(box: Sandbox, calls: int) -> float:
    """Wall seconds per call of 16 callers on one event loop."""

    async def main() -> None:
        left = iter(range(calls))

        async def caller() -> None:
            for _ in left:
                assert (await box.arun(CODE)).ok

        await asyncio.gather(*(caller() for _ in range(CALLERS)))

    return seconds(lambda: asyncio.run(main())) / calls


def available(names: list[str]) -> dict[str, Sandbox]:
    """Open sandboxes of the backends that work here; says why the others do not."""
    boxes = {}
    for name in names:
        box = Sandbox(backend=name)
        try:
            assert box.run(CODE).stdout == "45\n"
        except TextgymError as error:
            print(f"{name}: not on this machine: {error}")
            box.close()
            continue
        boxes[name] = box
    return boxes


def measure(boxes: dict[str, Sandbox], repeats: int, calls: int) -> dict[str, list[float]]:
    """Kind of call -> median seconds of each repeat; all kinds take turns in every repeat."""
    kinds: dict[str, Callable[[], Any]] = {
        name: lambda a=arguments: bare(a) for name, arguments in BARE.items()
    }
    sessions = {name: box.session() for name, box in boxes.items()}
    for name, box in boxes.items():
        kinds[f"{name}: warm call"] = lambda box=box: box.run(CODE)
        kinds[f"{name}: call in a session"] = lambda one=sessions[name]: one.run(CODE)
        kinds[f"{name}: function, 10 inputs"] = lambda box=box: box.call(FUNCTION, "f", INPUTS)
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    throughput: dict[str, list[float]] = {f"{name}: a call of {CALLERS} callers": [] for name in boxes}
    for _ in range(repeats + 1):
        for kind, action in kinds.items():
            found[kind].append(statistics.median(seconds(action) for _ in range(calls)))
        for name, box in boxes.items():
            throughput[f"{name}: a call of {CALLERS} callers"].append(together(box, calls * 4))
    for session in sessions.values():
        session.close()
    return {kind: values[1:] for kind, values in {**found, **throughput}.items()}


def descendants(pid: int) -> list[int]:
    """Every process below a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


def private_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))


def state() -> dict[str, int]:
    below = descendants(os.getpid())
    return {
        "own_kib": private_kib(os.getpid()),
        "kib_below": sum(map(private_kib, below)),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(below),
    }


def flat(backend: str, calls: int) -> dict[str, dict[str, int]]:
    """State of this process and those below it before and after many calls of 8 callers."""

    async def play(box: Sandbox, count: int) -> None:
        room = asyncio.Semaphore(8)

        async def one() -> None:
            async with room:
                assert (await box.arun(CODE)).ok

        await asyncio.gather(*(one() for _ in range(count)))

    with Sandbox(backend=backend) as box:
        asyncio.run(play(box, 100))
        before = state()
        asyncio.run(play(box, calls))
        return {"before": before, "after": state()}


def calculator_seconds() -> float | None:
    """Median seconds of one plain expression, or None without the calculator."""
    try:
        from textgym.tools import calculator
    except ImportError:
        return None
    rounds = [[seconds(lambda e=text: calculator(e)) for text in EXPRESSIONS] for _ in range(200)]
    return statistics.median(statistics.median(one) for one in zip(*rounds[1:], strict=True))


def show(times: dict[str, list[float]], flats: dict[str, Any], calculator: float | None) -> dict[str, Any]:
    """Print the table and the bars; the summary."""
    rows: dict[str, Any] = {}
    print(f"{'':<40} {'ms':>8} " + " ".join(f"/ {name:>20}" for name in BARE))
    for kind, values in times.items():
        ratios = [
            statistics.median(one / other for one, other in zip(values, times[name], strict=True))
            for name in BARE
        ]
        rows[kind] = {"ms": statistics.median(values) * 1e3, "ratios": dict(zip(BARE, ratios, strict=True))}
        print(f"{kind:<40} {rows[kind]['ms']:>8.2f} " + " ".join(f"{ratio:>22.2f}" for ratio in ratios))
    bars = {
        f"{kind}: {row['ratios'][PLAIN]:.2f} of {PLAIN} (below 1)": row["ratios"][PLAIN] < 1
        for kind, row in rows.items()
        if kind.endswith("warm call")
    }
    for backend, one in flats.items():
        before, after = one["before"], one["after"]
        print(f"{backend}: before and after many calls: {before} {after}")
        bars[f"{backend}: no descriptor and no process more"] = (
            after["descriptors"] <= before["descriptors"] and after["processes"] <= before["processes"]
        )
    if calculator is None:
        print("no calculator here")
    else:
        bars[f"calculator: median {calculator * 1e6:.1f} us (at most 50)"] = calculator <= CALCULATOR_BAR
    for text, holds in bars.items():
        print(("ok    " if holds else "MISSED ") + text)
    return {"rows": rows, "flat": flats, "calculator_s": calculator, "holds": all(bars.values())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--calls", type=int, default=40, help="calls of a kind in a repeat")
    parser.add_argument("--flat", type=int, default=1000, help="calls between the two looks at the state")
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS), choices=BACKENDS)
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    options = parser.parse_args()
    boxes = available(options.backends)
    try:
        times = measure(boxes, options.repeats, options.calls)
    finally:
        for box in boxes.values():
            box.close()
    flats = {name: flat(name, options.flat) for name in boxes} if options.flat else {}
    summary = show(times, flats, calculator_seconds())
    if options.json:
        options.json.write_text(json.dumps(summary, indent=1), "utf-8")
    return 0 if summary["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
