"""Procedural math problems with worked solutions.

Invariant: the answer is exact (a ``Fraction``), the solution's steps lead to it, and difficulty adds both steps
and digits. Every problem is drawn from the given generator alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

__all__ = ["DIFFICULTIES", "KINDS", "Problem", "make_problem"]

DIFFICULTIES = (1, 2, 3, 4, 5)
"""From one step with small numbers to six steps with large ones."""

NAMES = (
    "Ada", "Bilal", "Chen", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Lena",
    "Maya", "Nils", "Olga", "Pablo", "Quinn", "Rosa", "Sami", "Tara", "Uma", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
THINGS = (
    "apples", "books", "buttons", "candles", "cards", "coins", "cups", "eggs", "kites", "lamps", "marbles",
    "mugs", "nails", "pears", "pencils", "plates", "shells", "stamps", "tickets", "tiles",
)  # fmt: skip
PLACES = ("shop", "market", "bakery", "kiosk", "bazaar", "stall", "depot", "warehouse")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem."""

    kind: str
    """Which generator made it."""
    question: str
    """What is asked."""
    answer: Fraction
    """The exact answer."""
    steps: tuple[str, ...]
    """The worked solution, an equation a step."""

    @property
    def answer_text(self) -> str:
        """The answer as ``7``, ``-3`` or ``3/4``."""
        return str(self.answer)


def make_problem(rng: np.random.Generator, difficulty: int, kinds: tuple[str, ...] = ()) -> Problem:
    """Draw one problem.

    Args:
        rng: The only source of randomness.
        difficulty: One of ``DIFFICULTIES``.
        kinds: Names from ``KINDS`` to draw from; empty means all.

    Returns:
        The problem.
    """
    names = kinds or tuple(KINDS)
    return KINDS[names[int(rng.integers(len(names)))]](rng, difficulty)


def _between(rng: np.random.Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high, endpoint=True))


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _number(rng: np.random.Generator, difficulty: int) -> int:
    """A number of two digits for the easy problems, of up to four for the hard ones."""
    low, high = ((10, 99), (10, 199), (10, 499), (100, 999), (100, 4999))[difficulty - 1]
    return _between(rng, low, high)


def _arithmetic(rng: np.random.Generator, difficulty: int) -> Problem:
    value = Fraction(_number(rng, difficulty))
    text, loose, steps = str(value), False, []
    operations = "+-" if difficulty == 1 else "+-*" if difficulty < 4 else "+-*/"
    for _ in range(difficulty):
        sign = operations[int(rng.integers(len(operations)))]
        other = _between(rng, 2, 12) if sign in "*/" else _number(rng, difficulty)
        before = value
        if sign in "*/" and loose:
            text = f"({text})"
        text = f"{text} {sign} {other}"
        loose = sign in "+-"
        value = (
            value + other if sign == "+"
            else value - other if sign == "-"
            else value * other if sign == "*"
            else value / other
        )  # fmt: skip
        steps.append(f"{_plain(before)} {sign} {other} = {value}")
    return Problem("arithmetic", f"Compute {text}.", value, tuple(steps))


def _plain(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"({value})"


def _stock(rng: np.random.Generator, difficulty: int) -> Problem:
    """A count that goes up and down."""
    name, things, place = _pick(rng, NAMES), _pick(rng, THINGS), _pick(rng, PLACES)
    count = _number(rng, difficulty) + 20
    lines = [f"{name} has {count} {things} in a {place}."]
    steps = []
    for _ in range(difficulty):
        event = int(rng.integers(4))
        before = count
        if event == 0 and count > 2:
            less = _between(rng, 1, count - 1)
            count -= less
            lines.append(f"{name} sells {less} of them.")
            steps.append(f"{before} - {less} = {count}")
        elif event == 1:
            boxes, each = _between(rng, 2, 4 + 3 * difficulty), _between(rng, 3, 12)
            count += boxes * each
            lines.append(f"Then {boxes} boxes with {each} {things} each arrive.")
            steps += [f"{boxes} * {each} = {boxes * each}", f"{before} + {boxes * each} = {count}"]
        elif event == 2 and count % 2 == 0 and count > 2:
            count //= 2
            lines.append(f"Half of the {things} are given away.")
            steps.append(f"{before} / 2 = {count}")
        else:
            more = _number(rng, difficulty)
            count += more
            lines.append(f"{_pick(rng, NAMES)} brings {more} more.")
            steps.append(f"{before} + {more} = {count}")
    lines.append(f"How many {things} does {name} have now?")
    return Problem("stock", " ".join(lines), Fraction(count), tuple(steps))


def _shopping(rng: np.random.Generator, difficulty: int) -> Problem:
    """A bill, and the change of a banknote."""
    name, place = _pick(rng, NAMES), _pick(rng, PLACES)
    kinds = rng.choice(len(THINGS), size=min(difficulty + 1, 4), replace=False)
    bought, steps, total = [], [], 0
    for index in kinds:
        count = _between(rng, 2, 5 + 3 * difficulty)
        price = _between(rng, 2, 9 + 8 * difficulty)
        bought.append(f"{count} {THINGS[int(index)]} at {price} coins each")
        steps.append(f"{count} * {price} = {count * price}")
        if total:
            steps.append(f"{total} + {count * price} = {total + count * price}")
        total += count * price
    items = ", ".join(bought[:-1]) + f" and {bought[-1]}"
    if difficulty < 3:
        question = f"At the {place}, {name} buys {items}. How many coins does that cost in all?"
        return Problem("shopping", question, Fraction(total), tuple(steps))
    paid = total + _between(rng, 1, 50 * difficulty)
    steps.append(f"{paid} - {total} = {paid - total}")
    question = (
        f"At the {place}, {name} buys {items}, and pays with {paid} coins. How many coins does {name} get "
        "back?"
    )
    return Problem("shopping", question, Fraction(paid - total), tuple(steps))


def _journey(rng: np.random.Generator, difficulty: int) -> Problem:
    """Distances, and from difficulty 3 on the mean speed."""
    name = _pick(rng, NAMES)
    legs, steps, distance, hours = [], [], 0, 0
    for _ in range(max(difficulty, 2)):
        time, speed = _between(rng, 1, 4 + difficulty), _between(rng, 3, 20 * difficulty + 10)
        legs.append(f"{time} {'hour' if time == 1 else 'hours'} at {speed} km per hour")
        steps.append(f"{time} * {speed} = {time * speed}")
        if distance:
            steps.append(f"{distance} + {time * speed} = {distance + time * speed}")
        distance, hours = distance + time * speed, hours + time
    way = ", then ".join(legs)
    if difficulty < 3:
        question = f"{name} travels {way}. How many km is that in all?"
        return Problem("journey", question, Fraction(distance), tuple(steps))
    mean = Fraction(distance, hours)
    steps.append(f"{distance} / {hours} = {mean}")
    question = f"{name} travels {way}. What is the mean speed of the whole journey, in km per hour?"
    return Problem("journey", question, mean, tuple(steps))


KINDS: dict[str, Callable[[np.random.Generator, int], Problem]] = {
    "arithmetic": _arithmetic,
    "stock": _stock,
    "shopping": _shopping,
    "journey": _journey,
}
"""Name -> generator of that kind of problem."""
