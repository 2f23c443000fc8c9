"""What does a turn of a rollout cost in textgym, and what in other systems?

Each plays the same conversations (``peers/conversation.py``) in an interpreter of its own, with pinned
versions in a virtual environment of its own, against one mock server in another process with 50 ms latency,
and on asyncio's own event loop. Client CPU per turn and turns a second, after a warm-up; systems take turns
within each repeat, forwards and backwards; medians, and ratios as medians of the ratios within a repeat. How
each is set up says the docstring of its program ``peers/play_*.py``; most of what the slow ones spend is their
HTTP client's, as the rows of the ``openai`` client show.

    python benchmarks/rollout_peers.py [--venvs DIR] [--only aiohttp openai …] [--episodes 1000] [--repeats 3]
        [--turns 1 5] [--concurrency 256] [--json FILE]

Peers are installed into ``--venvs`` where they are missing, about 2 GB in all; without it, or where that
fails, they are named with the reason.

Bars at 256 at a time: textgym at most 1.5 times raw aiohttp with 5 turns and 2 times with 1; Atropos at least
8 times textgym, verifiers and Inspect at least 20 times.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from peers.venvs import PEERS, Unavailable, run_program

from textgym.testing import MockModelServer

ANSWER = "<guess>1</guess>"
AT_MOST = {1: 2.0, 5: 1.5}
"""textgym / raw aiohttp, by turns of an episode."""
AT_LEAST = {"atropos": 8.0, "verifiers": 20.0, "inspect": 20.0}
"""Peer / textgym, at 5 turns."""


def measure(
    names: list[str], base_url: str, venvs: Path | None, turns: int, options: argparse.Namespace
) -> dict[str, Any]:
    """All repeats of all systems: name -> medians, or the reason why there are none."""
    lines: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    arguments = [
        *("--base-url", base_url, "--episodes", str(options.episodes), "--turns", str(turns)),
        *(
            "--concurrency",
            str(options.concurrency),
            "--warmup",
            str(min(options.episodes, options.concurrency)),
        ),
    ]
    for repeat in range(options.repeats):
        for name in names[:: -1 if repeat % 2 else 1]:
            if name not in failed:
                try:
                    lines[name].append(run_program(PEERS[name], venvs, arguments))
                except Unavailable as error:
                    failed[name] = str(error)
    rows: dict[str, Any] = {name: {"failed": reason} for name, reason in failed.items()}
    for name in names:
        if name in failed:
            continue
        rows[name] = {
            "version": lines[name][0]["version"],
            "beneath": lines[name][0]["beneath"],
            **{
                key: statistics.median(line[key] for line in lines[name])
                for key in ("cpu_ms_per_turn", "turns_per_second", "peak_mb")
            },
            "uncounted_children": max(line["uncounted_children"] for line in lines[name]),
            "cpu_ms_of_repeats": [line["cpu_ms_per_turn"] for line in lines[name]],
            "turns_per_second_of_repeats": [line["turns_per_second"] for line in lines[name]],
        }
    return {name: rows[name] for name in names}


def ratio(
    rows: dict[str, Any], over: str, under: str, what: str = "cpu_ms_of_repeats", **bar: float
) -> dict[str, Any]:
    """One beside another, with its bar: the median of the repeats' ratios, or why there is none.

    Args:
        rows: What ``measure`` returns.
        over: Name of the system above the line.
        under: Name of the one below it.
        what: Which figures.
        bar: ``at_most`` or ``at_least``.
    """
    for name in (over, under):
        if "failed" in rows.get(name, {"failed": f"{name} was not asked for"}):
            return {"missing": rows.get(name, {}).get("failed", f"{name} was not asked for"), **bar}
    pairs = zip(rows[over][what], rows[under][what], strict=True)
    return {"ratio": statistics.median(a / b for a, b in pairs), **bar}


def compare(rows: dict[str, Any], turns: int, concurrency: int = 256) -> dict[str, Any]:
    """The ratios that the bars speak of, and those of all others to textgym."""
    bars = concurrency == 256
    most = {"at_most": AT_MOST[turns]} if bars and turns in AT_MOST else {}
    compared = {"CPU a turn, textgym / raw aiohttp": ratio(rows, "textgym", "aiohttp", **most)}
    others = [name for name in rows if name != "textgym"]
    for name in others:
        if name != "aiohttp":
            least = {"at_least": AT_LEAST[name]} if bars and turns == 5 and name in AT_LEAST else {}
            label = f"CPU a turn, {PEERS[name].label} / textgym"
            compared[label] = ratio(rows, name, "textgym", **least)
    for name in others:
        label = f"turns a second, textgym / {PEERS[name].label}"
        compared[label] = ratio(rows, "textgym", name, "turns_per_second_of_repeats")
    return compared


def show(rows: dict[str, Any], turns: int) -> None:
    """The table of one number of turns."""
    heads = ("CPU ms/turn", "x aiohttp", "x textgym", "turns/s", "peak MB")
    print(f"\n{turns} turns{'':<22}" + "".join(f"{head:>13}" for head in heads))
    for name, row in rows.items():
        if "failed" in row:
            print(f"{PEERS[name].label:<29}{'could not be measured: ' + row['failed']}")
            continue
        ratios = [ratio(rows, name, other).get("ratio") for other in ("aiohttp", "textgym")]
        cells = [f"{row['cpu_ms_per_turn']:.3f}", *("-" if r is None else f"{r:.2f}" for r in ratios)]
        cells += [f"{row['turns_per_second']:.0f}", f"{row['peak_mb']:.0f}"]
        children = (
            f"  + {row['uncounted_children']} processes not counted" if row["uncounted_children"] else ""
        )
        label = f"{PEERS[name].label} {row['version']}"
        print(f"{label:<29}" + "".join(f"{cell:>13}" for cell in cells) + children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--venvs", metavar="DIR", help="where the peers' environments are kept or made")
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--turns", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    table = {}
    venvs = Path(options.venvs) if options.venvs else None
    with MockModelServer.spawn(answer=ANSWER, latency=0.05) as server:
        for turns in options.turns:
            rows = measure(options.only, server.base_url, venvs, turns, options)
            show(rows, turns)
            compared = compare(rows, turns, options.concurrency)
            table[f"{turns} turns"] = {"systems": rows, "compared": compared}
    if options.json:
        Path(options.json).write_text(json.dumps(table, indent=2), "utf-8")


if __name__ == "__main__":
    main()
