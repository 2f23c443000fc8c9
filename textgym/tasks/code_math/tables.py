"""Counts and optima that dynamic programming finds.

Invariant: what is counted is finite and stated completely; counts that grow beyond bounds are asked for as a
remainder.
"""

from __future__ import annotations

from math import comb

import numpy as np

from textgym.tasks.code_math.problem import Maker, Problem, listed
from textgym.tasks.math.problem import between

__all__ = ["KINDS"]


def _change(rng: np.random.Generator, difficulty: int) -> Problem:
    kinds = 3 + (difficulty + 1) // 2
    coins = sorted(int(c) for c in rng.choice(np.arange(2, 15 + 8 * difficulty), size=kinds, replace=False))
    amount = between(rng, 40 * difficulty, 150 * difficulty)
    ways = [1] + [0] * amount
    for coin in coins:
        for total in range(coin, amount + 1):
            ways[total] += ways[total - coin]
    return Problem.of(
        f"Coins are worth {listed(coins)} cents, and there are as many of each as you like. In how many ways "
        f"can exactly {amount} cents be paid, if the order of the coins does not matter?",
        ways[amount],
        f"""
        coins, amount = {coins}, {amount}
        ways = [1] + [0] * amount
        for coin in coins:
            for total in range(coin, amount + 1):
                ways[total] += ways[total - coin]
        print(ways[amount])
        """,
    )


def _stairs(rng: np.random.Generator, difficulty: int) -> Problem:
    height = between(rng, 12 * difficulty, 20 + 25 * difficulty)
    sizes = sorted(int(s) for s in rng.choice(np.arange(1, 6 + difficulty), size=3, replace=False))
    broken = sorted(int(b) for b in rng.choice(np.arange(2, height), size=1 + difficulty, replace=False))
    modulus = between(rng, 1_000, 99_999)
    ways = [1] + [0] * height
    for step in range(1, height + 1):
        if step not in broken:
            ways[step] = sum(ways[step - size] for size in sizes if size <= step)
    return Problem.of(
        f"Stairs have {height} steps. You start below step 1 and go up by {listed(sizes, 'or')} steps at a "
        f"time, and you must never stand on the broken steps {listed(broken)}. In how many different ways "
        f"can you arrive exactly on step {height}? Give the remainder of this number when it is divided by "
        f"{modulus}.",
        ways[height] % modulus,
        f"""
        broken = {set(broken)}
        ways = [1] + [0] * {height}
        for step in range(1, {height + 1}):
            if step not in broken:
                ways[step] = sum(ways[step - size] for size in {sizes} if size <= step)
        print(ways[{height}] % {modulus})
        """,
    )


def _paths(rng: np.random.Generator, difficulty: int) -> Problem:
    width, height = (between(rng, 3 + difficulty, 5 + 2 * difficulty) for _ in range(2))
    inner = [(x, y) for x in range(width + 1) for y in range(height + 1) if 0 < x + y < width + height]
    blocked = sorted(inner[int(i)] for i in rng.choice(len(inner), size=2 + difficulty, replace=False))
    reaching: list[int] = []  # by inclusion and exclusion along the blocked points, unlike the program
    for index, (x, y) in enumerate([*blocked, (width, height)]):
        paths = comb(x + y, x)
        for (a, b), before in zip(blocked[:index], reaching, strict=True):
            if a <= x and b <= y:
                paths -= before * comb(x - a + y - b, x - a)
        reaching.append(paths)
    return Problem.of(
        f"A path goes from (0, 0) to ({width}, {height}) in steps of (1, 0) and (0, 1). It must not touch "
        f"the points {listed(blocked)}. How many such paths are there?",
        reaching[-1],
        f"""
        blocked = {set(blocked)}
        paths = {{(0, 0): 1}}
        for x in range({width + 1}):
            for y in range({height + 1}):
                if (x, y) != (0, 0):
                    before = paths.get((x - 1, y), 0) + paths.get((x, y - 1), 0)
                    paths[x, y] = 0 if (x, y) in blocked else before
        print(paths[{width}, {height}])
        """,
    )


def _subsets(rng: np.random.Generator, difficulty: int) -> Problem:
    count, divisor = between(rng, 6 + 2 * difficulty, 8 + 3 * difficulty), between(rng, 3, 8 + 6 * difficulty)
    values = [between(rng, 1, 40 + 20 * difficulty) for _ in range(count)]
    rest = between(rng, 0, divisor - 1)
    ways = [1] + [0] * (divisor - 1)
    for value in values:
        ways = [ways[r] + ways[(r - value) % divisor] for r in range(divisor)]
    return Problem.of(
        f"Some of the {count} cards with the numbers {listed(values)} are taken, none or all of them being "
        "allowed, too. Equal numbers are different cards. In how many ways does the sum leave the remainder "
        f"{rest} when it is divided by {divisor}?",
        ways[rest],
        f"""
        ways = [1] + [0] * {divisor - 1}
        for value in {values}:
            ways = [ways[r] + ways[(r - value) % {divisor}] for r in range({divisor})]
        print(ways[{rest}])
        """,
    )


def _words(rng: np.random.Generator, difficulty: int) -> Problem:
    length, letters = between(rng, 6 * difficulty, 12 * difficulty), between(rng, 2, 3 + difficulty)
    run, modulus = between(rng, 2, 4), between(rng, 1_000, 99_999)
    rows = [letters] + [0] * (run - 1)  # words by the length of the run at their end
    for _ in range(length - 1):
        rows = [sum(rows) * (letters - 1), *rows[:-1]]
    alphabet = "ABCDEFGH"[:letters]
    return Problem.of(
        f"How many words of {length} letters can be made of the letters {listed(alphabet)} if no letter may "
        f"stand more than {run} times in a row? Give the remainder of this number when it is divided by "
        f"{modulus}.",
        sum(rows) % modulus,
        f"""
        ways = {{1: {letters}}}
        for _ in range({length - 1}):
            longer = {{run + 1: count for run, count in ways.items() if run < {run}}}
            longer[1] = sum(ways.values()) * {letters - 1}
            ways = longer
        print(sum(ways.values()) % {modulus})
        """,
    )


def _increasing(rng: np.random.Generator, difficulty: int) -> Problem:
    length, modulus = between(rng, 12 * difficulty, 30 * difficulty), between(rng, 50, 500)
    a, b, c = between(rng, 1, 40), between(rng, 1, 90), between(rng, 0, 90)
    values = [(a * n * n + b * n + c) % modulus for n in range(1, length + 1)]
    total = list(values)
    for index, value in enumerate(values):
        total[index] += max((total[i] for i in range(index) if values[i] < value), default=0)
    return Problem.of(
        f"For n = 1, 2, ..., {length} let x(n) be the remainder of {a} * n^2 + {b} * n + {c} when it is "
        f"divided by {modulus}. Terms may be left out of this sequence, but the order stays. What is the "
        "largest sum that the terms of a strictly increasing subsequence can have?",
        max(total),
        f"""
        x = [({a} * n * n + {b} * n + {c}) % {modulus} for n in range(1, {length + 1})]
        best = []
        for i, value in enumerate(x):
            before = [best[j] for j in range(i) if x[j] < value]
            best.append(value + max(before, default=0))
        print(max(best))
        """,
    )


def _parts(rng: np.random.Generator, difficulty: int) -> Problem:
    total, least = between(rng, 25 * difficulty, 60 * difficulty), between(rng, 1, 4)
    most, distinct = between(rng, 10 + 2 * difficulty, 20 + 5 * difficulty), bool(rng.integers(2))
    banned = sorted(
        int(part) for part in rng.choice(np.arange(least, most + 1), size=1 + difficulty, replace=False)
    )
    ways = [1] + [0] * total
    for part in sorted(set(range(least, most + 1)) - set(banned)):
        spots = range(total, part - 1, -1) if distinct else range(part, total + 1)
        for amount in spots:
            ways[amount] += ways[amount - part]
    kind = "different whole numbers" if distinct else "whole numbers, which may repeat,"
    return Problem.of(
        f"In how many ways can {total} be written as a sum of {kind} from {least} to {most}, but without "
        f"{listed(banned)}, if the order does not matter?",
        ways[total],
        f"""
        ways = [1] + [0] * {total}
        for part in range({least}, {most + 1}):
            if part in {banned}:
                continue
            for amount in {f"range({total}, part - 1, -1)" if distinct else f"range(part, {total + 1})"}:
                ways[amount] += ways[amount - part]
        print(ways[{total}])
        """,
    )


KINDS: dict[str, Maker] = {
    "change": _change,
    "stairs": _stairs,
    "paths": _paths,
    "subsets": _subsets,
    "words": _words,
    "increasing": _increasing,
    "parts": _parts,
}
"""Name -> generator."""
