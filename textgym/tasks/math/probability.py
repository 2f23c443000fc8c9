"""Probability with exact fractions: dice, urns without replacement, coins.

Invariant: all outcomes that are counted are equally likely, but for the biased coins, whose odds are stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb

import numpy as np

from textgym.tasks.math.problem import Maker, Problem, Working, between, pick

__all__ = ["KINDS"]

FACES = (4, 6, 8, 10, 12, 20)
BIASES = tuple(
    Fraction(*odds)
    for odds in (
        (1, 3),
        (2, 3),
        (1, 4),
        (3, 4),
        (1, 5),
        (2, 5),
        (3, 5),
        (4, 5),
        (1, 6),
        (5, 6),
        (1, 10),
        (9, 10),
    )
)


def _dice(rng: np.random.Generator, difficulty: int) -> Problem:
    work = Working()
    if difficulty == 1:
        faces = between(rng, 6, 40)
        least = between(rng, 2, faces - 1)
        work.do(work.do(faces, "-", least), "/", faces)
        text = f"A fair die has the numbers from 1 to {faces} on its {faces} faces."
        return work.problem("dice", f"{text} What is the probability of rolling more than {least}?")
    dice = [pick(rng, FACES if difficulty < 4 else FACES[:4]) for _ in range(2 if difficulty < 4 else 3)]
    if difficulty == 2:
        dice = [between(rng, 4, 20)] * 2
    dice.sort()
    total = between(rng, len(dice) + 2, sum(dice) - 2)
    exactly = difficulty in (2, 4)
    ways = _ways(work, dice, total, exactly)
    work.do(ways, "/", _product(work, dice))
    sizes = ", ".join(map(str, dice[:-1])) + f" and {dice[-1]}"
    text = f"Fair dice with {sizes} faces, each numbered from 1 up, are rolled together."
    event = f"is {total}" if exactly else f"is at least {total}"
    return work.problem("dice", f"{text} What is the probability that their sum {event}?")


def _product(work: Working, factors: list[int]) -> Fraction:
    result = Fraction(factors[0])
    for factor in factors[1:]:
        result = work.do(result, "*", factor)
    return result


def _ways(work: Working, dice: list[int], total: int, exactly: bool) -> Fraction:
    """The favourable outcomes: for each value of the first die, those of the others."""
    first, *others = dice
    parts: list[Fraction] = []
    for value in range(1, first + 1):
        left = total - value
        if len(others) > 1:
            counts = [_count(others[1], left - second, exactly) for second in range(1, others[0] + 1)]
            parts.append(_sum(work, counts))
        else:
            parts.append(Fraction(_count(others[0], left, exactly)))
    return _sum(work, parts)


def _sum(work: Working, counts: Sequence[int | Fraction]) -> Fraction:
    """Their sum, without the zeros."""
    return work.total([count for count in counts if count] or [0])


def _count(faces: int, wanted: int, exactly: bool) -> int:
    """Numbers of one die that are right."""
    if exactly:
        return int(1 <= wanted <= faces)
    return min(faces, max(0, faces - wanted + 1))


def _urn(rng: np.random.Generator, difficulty: int) -> Problem:
    """Draws without replacement."""
    work, most = Working(), 8 + 4 * difficulty
    red, blue = between(rng, 3, most), between(rng, 3, most)
    urn = f"An urn holds {red} red and {blue} blue balls and nothing else."
    balls = work.do(red, "+", blue)
    if difficulty == 1:
        work.do(red, "/", balls)
        return work.problem("urn", f"{urn} One ball is drawn. What is the probability that it is red?")
    draws = 2 if difficulty < 4 else 3
    reds = draws if difficulty in (2, 4) else draws - 1
    chance: Fraction | None = None
    left, kinds = balls, {True: red, False: blue}
    for draw in range(draws):
        is_red = draw < reds
        factor = work.do(kinds[is_red], "/", left)
        kinds[is_red] -= 1
        left = work.do(left, "-", 1) if draw + 1 < draws else left
        chance = factor if chance is None else work.do(chance, "*", factor)
    assert chance is not None
    if reds < draws:
        work.do(chance, "*", draws)
    event = (
        f"all {draws} are red" if reds == draws and draws > 2
        else "both are red" if reds == draws
        else f"exactly {reds} of them {'is' if reds == 1 else 'are'} red"
    )  # fmt: skip
    drawn = f"{draws} balls are drawn at random, one after another, without putting any back."
    return work.problem("urn", f"{urn} {drawn} What is the probability that {event}?")


def _coins(rng: np.random.Generator, difficulty: int) -> Problem:
    work = Working()
    flips = between(rng, *((2, 40), (4, 16), (5, 40), (6, 30), (4, 9))[difficulty - 1])
    least = between(rng, 2, flips - 2) if difficulty == 2 else flips - (0, 0, 1, 2, 1)[difficulty - 1]
    text = f"A fair coin is flipped {flips} times."
    if difficulty == 5:
        odds = pick(rng, BIASES)
        text = f"A biased coin shows heads with probability {odds}. It is flipped {flips} times."
        _biased(work, flips, least, odds)
    else:
        heads = [least] if difficulty < 3 else list(range(least, flips + 1))
        counts = [_choose(work, flips, count) for count in heads]
        ways = work.total(counts)
        work.do(ways, "/", work.do(2, "^", flips))
    side = "heads" if difficulty == 5 or rng.integers(2) else "tails"
    few = difficulty in (3, 4) and bool(rng.integers(2))  # as likely as its mirror image
    event = (
        f"every flip shows {side}" if difficulty == 1
        else f"exactly {least} flips show {side}" if difficulty == 2
        else f"the number of {side} is at most {flips - least}" if few
        else f"the number of {side} is at least {least}"
    )  # fmt: skip
    return work.problem("coins", f"{text} What is the probability that {event}?")


def _choose(work: Working, n: int, k: int) -> Fraction:
    """How many ways there are to choose k of n; the trivial ones need no step."""
    k = min(k, n - k)
    if k == 0:
        return Fraction(1)
    if k == 1:
        return Fraction(n)
    above = " * ".join(str(n - i) for i in range(k))
    below = " * ".join(str(i + 1) for i in range(k))
    return work.note(f"({above}) / ({below})", comb(n, k))


def _biased(work: Working, flips: int, least: int, odds: Fraction) -> None:
    """Add up the chances of every number of heads from ``least`` on."""
    tails = work.do(1, "-", odds)
    chances = []
    for heads in range(least, flips + 1):
        chance = work.do(odds, "^", heads)
        if heads < flips:
            chance = work.do(chance, "*", work.do(tails, "^", flips - heads))
            chance = work.do(_choose(work, flips, heads), "*", chance)
        chances.append(chance)
    work.total(chances)


KINDS: dict[str, Maker] = {"dice": _dice, "urn": _urn, "coins": _coins}
"""Name -> generator."""
