"""Word problems about relations: ages, shares, prices in percent, work done together.

Invariant: as in ``stories``, the text holds all that is needed; every relation refers to the one before it,
so that the chain has one reading.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np

from textgym.tasks.math.problem import NAMES, THINGS, Maker, Problem, Working, between, clause, pick

__all__ = ["KINDS"]


def _people(rng: np.random.Generator, count: int) -> list[str]:
    """Different names."""
    return [NAMES[int(i)] for i in rng.choice(len(NAMES), size=count, replace=False)]


def _ages(rng: np.random.Generator, difficulty: int) -> Problem:
    """A chain of ages, a relation a level."""
    people, work = _people(rng, difficulty + 1), Working()
    age = between(rng, 4 + difficulty, 20 + 8 * difficulty)
    lines = [f"{people[0]} is {clause(age, 'year')} old."]
    for before, name in pairwise(people):
        choice = int(rng.integers(4))
        if choice == 0 and age > 3:
            less = between(rng, 1, age - 2)
            lines.append(f"{name} is {clause(less, 'year')} younger than {before}.")
            age = int(work.do(age, "-", less))
        elif choice == 1 and age <= 20:
            times = between(rng, 2, 3)
            lines.append(f"{name} is {('twice', 'three times')[times - 2]} as old as {before}.")
            age = int(work.do(age, "*", times))
        elif choice == 2 and age % 2 == 0:
            lines.append(f"{name} is half as old as {before}.")
            age = int(work.do(age, "/", 2))
        else:
            more = between(rng, 2, 6 + 4 * difficulty)
            lines.append(f"{name} is {clause(more, 'year')} older than {before}.")
            age = int(work.do(age, "+", more))
    if difficulty < 4:
        return work.problem("ages", f"{' '.join(lines)} How old is {people[-1]}?")
    later = between(rng, 3, 40)
    work.do(age, "+", later)
    return work.problem("ages", f"{' '.join(lines)} How old will {people[-1]} be in {later} years?")


def _sharing(rng: np.random.Generator, difficulty: int) -> Problem:
    """A number of things in equal parts, or in a ratio."""
    things, work = pick(rng, THINGS), Working()
    if difficulty == 1:
        people, each = between(rng, 2, 12), between(rng, 3, 40)
        work.do(people * each, "/", people)
        question = f"{people} people share {people * each} {things} equally. How many {things} does each get?"
        return work.problem("sharing", question)
    people_names = _people(rng, 2 if difficulty == 2 else 3)
    parts = [between(rng, 1, 4 + difficulty) for _ in people_names]
    total = sum(parts) * between(rng, 3, 10 * difficulty)
    lost = between(rng, 2, 20) if difficulty == 5 else 0
    first = (
        f"There are {total + lost} {things}. Of these, {lost} are broken and are thrown away. The others are"
        if lost
        else f"{total} {things} are"
    )
    who = f"{', '.join(people_names[:-1])} and {people_names[-1]}"
    text = f"{first} shared among {who} in the ratio {':'.join(map(str, parts))}, in this order."
    if lost:
        work.do(total + lost, "-", lost)
    unit = work.do(total, "/", work.total(parts))
    if difficulty < 4:
        work.do(unit, "*", parts[0])
        return work.problem("sharing", f"{text} How many {things} does {people_names[0]} get?")
    work.do(work.do(unit, "*", parts[0]), "+", work.do(unit, "*", parts[2]))
    question = f"{text} How many {things} do {people_names[0]} and {people_names[2]} get together?"
    return work.problem("sharing", question)


def _percent(rng: np.random.Generator, difficulty: int) -> Problem:
    """A price that rises and falls in percent."""
    work = Working()
    price = Fraction(20 * between(rng, 2, 10 + 15 * difficulty))
    if difficulty == 1:
        rate = 5 * between(rng, 1, 19)
        work.note(f"{price} * {rate} / 100", price * rate / 100)
        return work.problem(
            "percent", f"A coat costs {price} coins. How many coins are {rate}% of its price?"
        )
    lines = [f"A coat costs {price} coins."]
    for turn in range(difficulty // 2 + 1):
        rate, up = 5 * between(rng, 1, 10), bool(rng.integers(2))
        then = "Its price" if turn == 0 else "Then the new price"
        lines.append(f"{then} is {'raised' if up else 'lowered'} by {rate}%.")
        change = work.note(f"{price if price.denominator == 1 else f'({price})'} * {rate} / 100",
                           price * rate / 100)  # fmt: skip
        price = work.do(price, "+" if up else "-", change)
    if difficulty % 2 == 0:
        return work.problem("percent", f"{' '.join(lines)} How many coins does it cost now?")
    count = between(rng, 2, 12)
    work.do(price, "*", count)
    return work.problem("percent", f"{' '.join(lines)} How many coins do {count} such coats cost now?")


def _work(rng: np.random.Generator, difficulty: int) -> Problem:
    """Machines and people that work together."""
    work = Working()
    if difficulty < 3:
        rates = [between(rng, 3, 40) for _ in range(difficulty)]
        hours = between(rng, 2, 12)
        work.do(work.total(rates), "*", hours)
        ways = ("One machine makes {} tiles per hour.", "Two machines make {} and {} tiles per hour.")
        said = ways[difficulty - 1].format(*rates)
        return work.problem("work", f"{said} How many tiles are made in {hours} hours in all?")
    people = _people(rng, 2 if difficulty == 3 else 3)
    hours_each = [between(rng, 2, 6 + 2 * difficulty) for _ in people]
    said = " ".join(f"{name} alone paints a fence in {clause(hours, 'hour')}."
                    for name, hours in zip(people, hours_each, strict=True))  # fmt: skip
    rate = work.total([work.do(1, "/", hours) for hours in hours_each])
    if difficulty < 5:
        work.do(1, "/", rate)
        question = f"{said} How many hours do they need for one fence if they all paint together?"
        return work.problem("work", question)
    fences, rest = between(rng, 2, 9), between(rng, 1, 5)
    work.do(work.do(fences, "/", rate), "+", rest)
    question = (
        f"{said} They paint {fences} such fences, all of them together all the time, and take "
        f"{clause(rest, 'hour')} of rest in which nobody paints. How many hours does that take in all, rest "
        "included?"
    )
    return work.problem("work", question)


KINDS: dict[str, Maker] = {"ages": _ages, "sharing": _sharing, "percent": _percent, "work": _work}
"""Name -> generator."""
