"""How right and how fast is ``verify_math`` beside math-verify, on the table of the tests?

Both judge every pair of ``tests/rewards/verify_math.toml`` in this process, math-verify with its defaults
(``parse`` of both texts, ``verify``, gold first, 5 s limits). "Right" is how many verdicts, correct or not, are
those of the table. Times are medians over the pairs, of medians over rounds; what either remembers of a round is
forgotten before the next. Hostile pairs count for being right and are not timed.

    python benchmarks/verify_math.py [--rounds 5] [--json FILE]

Bars: plain answers at most 50 µs; overall at least 10 times as fast; on every class at least as many right.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from math_verify import parse, verify

from textgym.rewards.math import MathOutcome, equality, pool, verify_math

TABLE = Path(__file__).parents[1] / "tests" / "rewards" / "verify_math.toml"
PLAIN = ("integer", "fraction", "decimal", "thousands")
"""Classes of plain answers."""


class Pair(NamedTuple):
    """A row of the table as both checkers get it."""

    kind: str
    gold: str
    text: str
    is_right: bool


def pairs() -> list[Pair]:
    """Every row of the table."""
    found = []
    for kind, part in tomllib.loads(TABLE.read_text("utf-8")).items():
        for gold, answer, expected in part["pairs"]:
            text = answer if part.get("whole_texts") else rf"\boxed{{{answer}}}"
            found.append(Pair(kind, gold, text, expected == "correct"))
    return found


def ours(pair: Pair) -> bool:
    """The verdict of textgym."""
    return verify_math(pair.text, pair.gold) is MathOutcome.CORRECT


def theirs(pair: Pair) -> bool:
    """The verdict of math-verify."""
    gold = pair.gold if "boxed" in pair.gold or "$" in pair.gold else rf"\boxed{{{pair.gold}}}"
    return bool(verify(parse(gold), parse(pair.text)))


def forget() -> None:
    """Drop what textgym remembers; math-verify's caches hold 20 texts and are cold after a round."""
    equality._exact.cache_clear()
    pool.pool()._known.clear()


def timed(checker: Callable[[Pair], bool], pair: Pair) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    checker(pair)
    return time.perf_counter() - began


def measure(table: list[Pair], rounds: int) -> dict[str, dict[str, Any]]:
    """Class -> right and median microseconds of both."""
    checkers = {"ours": ours, "theirs": theirs}
    right = {name: [checker(pair) == pair.is_right for pair in table] for name, checker in checkers.items()}
    times: dict[str, list[list[float]]] = {name: [[] for _ in table] for name in checkers}
    for _ in range(rounds):
        forget()
        for index, pair in enumerate(table):
            if "hostile" not in pair.kind:
                for name, checker in checkers.items():
                    times[name][index].append(timed(checker, pair))
    result: dict[str, dict[str, Any]] = {}
    for kind in dict.fromkeys(pair.kind for pair in table):
        where = [index for index, pair in enumerate(table) if pair.kind == kind]
        result[kind] = {"total": len(where)}
        for name in checkers:
            medians = [statistics.median(times[name][index]) for index in where if times[name][index]]
            result[kind][f"{name}_right"] = sum(right[name][index] for index in where)
            result[kind][f"{name}_us"] = [round(1e6 * median, 1) for median in medians]
    return result


def show(result: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Print the table and the bars; the summary."""
    print(f"{'class':<20} {'right':>9} {'math-verify':>12} {'us':>8} {'math-verify':>12} {'ratio':>7}")
    for kind, row in [*result.items(), ("all", merged(result, list(result)))]:
        line = (
            f"{kind:<20} {row['ours_right']:>4}/{row['total']:<4} {row['theirs_right']:>7}/{row['total']:<4}"
        )
        if row["ours_us"]:
            one, two = statistics.median(row["ours_us"]), statistics.median(row["theirs_us"])
            line += f" {one:>8.1f} {two:>12.1f} {two / one:>7.1f}"
        print(line)
    everything, plain = merged(result, list(result)), merged(result, list(PLAIN))
    worse = [kind for kind, row in result.items() if row["ours_right"] < row["theirs_right"]]
    summary = {
        "plain_median_us": statistics.median(plain["ours_us"]),
        "overall_ratio": statistics.median(everything["theirs_us"])
        / statistics.median(everything["ours_us"]),
        "classes_with_fewer_right": worse,
    }
    bars = {
        f"plain answers: median {summary['plain_median_us']:.1f} us (at most 50)": summary["plain_median_us"]
        <= 50,
        f"overall: {summary['overall_ratio']:.1f} times as fast (at least 10)": summary["overall_ratio"]
        >= 10,
        f"classes with fewer right: {', '.join(worse) or 'none'}": not worse,
    }
    for text, holds in bars.items():
        print(("ok    " if holds else "MISSED ") + text)
    return {**summary, "holds": all(bars.values())}


def merged(result: dict[str, dict[str, Any]], kinds: list[str]) -> dict[str, Any]:
    """Some classes as one."""
    rows = [result[kind] for kind in kinds]
    keys = ("total", "ours_right", "theirs_right")
    return {
        **{key: sum(row[key] for row in rows) for key in keys},
        **{key: [value for row in rows for value in row[key]] for key in ("ours_us", "theirs_us")},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    arguments = parser.parse_args()
    logging.disable()
    result = measure(pairs(), arguments.rounds)
    summary = show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps({"classes": result, "summary": summary}, indent=1), "utf-8")
    return 0 if summary["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
