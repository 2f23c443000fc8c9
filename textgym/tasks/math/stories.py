"""Word problems of one thread: counts that change, bills, journeys.

Invariant: everything that the answer needs is said in the text, and nothing is said that it does not need.
"""

from __future__ import annotations

import numpy as np

from textgym.tasks.math.problem import NAMES, THINGS, Maker, Problem, Working, between, clause, number, pick

__all__ = ["KINDS"]

PLACES = ("shop", "market", "bakery", "kiosk", "bazaar", "stall", "depot", "warehouse")


def _stock(rng: np.random.Generator, difficulty: int) -> Problem:
    """A count that goes up and down."""
    name, things, place = pick(rng, NAMES), pick(rng, THINGS), pick(rng, PLACES)
    count = number(rng, difficulty) + 20
    lines = [f"{name} has {count} {things} in a {place}."]
    work = Working()
    for _ in range(difficulty):
        event = int(rng.integers(4))
        if event == 0 and count > 2:
            less = between(rng, 1, count - 1)
            lines.append(f"{name} sells {less} of them.")
            count = int(work.do(count, "-", less))
        elif event == 1:
            boxes, each = between(rng, 2, 4 + 3 * difficulty), between(rng, 3, 12)
            lines.append(f"Then {boxes} boxes with {each} {things} each arrive.")
            count = int(work.do(count, "+", work.do(boxes, "*", each)))
        elif event == 2 and count % 2 == 0 and count > 2:
            lines.append(f"Half of the {things} are given away.")
            count = int(work.do(count, "/", 2))
        else:
            more = number(rng, difficulty)
            lines.append(f"{pick(rng, NAMES)} brings {more} more.")
            count = int(work.do(count, "+", more))
    lines.append(f"How many {things} does {name} have now?")
    return work.problem("stock", " ".join(lines))


def _shopping(rng: np.random.Generator, difficulty: int) -> Problem:
    """A bill, and the change of a banknote."""
    name, place = pick(rng, NAMES), pick(rng, PLACES)
    bought, work, total = [], Working(), 0
    for index in rng.choice(len(THINGS), size=min(difficulty + 1, 4), replace=False):
        count = between(rng, 2, 5 + 3 * difficulty)
        price = between(rng, 2, 9 + 8 * difficulty)
        bought.append(f"{count} {THINGS[int(index)]} at {price} coins each")
        cost = work.do(count, "*", price)
        total = int(work.do(total, "+", cost) if total else cost)
    items = ", ".join(bought[:-1]) + f" and {bought[-1]}"
    if difficulty < 3:
        question = f"At the {place}, {name} buys {items}. How many coins does that cost in all?"
        return work.problem("shopping", question)
    paid = total + between(rng, 1, 50 * difficulty)
    work.do(paid, "-", total)
    question = (
        f"At the {place}, {name} buys {items}, and pays with {paid} coins. How many coins does {name} get "
        "back?"
    )
    return work.problem("shopping", question)


def _journey(rng: np.random.Generator, difficulty: int) -> Problem:
    """Distances, and from difficulty 3 on the mean speed."""
    name, work = pick(rng, NAMES), Working()
    legs, distance, hours = [], 0, 0
    for _ in range(max(difficulty, 2)):
        time, speed = between(rng, 1, 4 + difficulty), between(rng, 3, 20 * difficulty + 10)
        legs.append(f"{clause(time, 'hour')} at {speed} km per hour")
        leg = work.do(time, "*", speed)
        distance = int(work.do(distance, "+", leg) if distance else leg)
        hours += time
    way = ", then ".join(legs)
    if difficulty < 3:
        return work.problem("journey", f"{name} travels {way}. How many km is that in all?")
    work.do(distance, "/", hours)
    question = f"{name} travels {way}. What is the mean speed of the whole journey, in km per hour?"
    return work.problem("journey", question)


KINDS: dict[str, Maker] = {"stock": _stock, "shopping": _shopping, "journey": _journey}
"""Name -> generator."""
