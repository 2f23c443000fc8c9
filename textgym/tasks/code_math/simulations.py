"""Rules that are applied many times: sequences, games of elimination, walks, accounts.

Invariant: every rule is stated in whole numbers, so that a program follows it exactly.
"""

from __future__ import annotations

import numpy as np

from textgym.tasks.code_math.problem import Maker, Problem
from textgym.tasks.math.problem import NAMES, between, pick

__all__ = ["KINDS"]

_STEPS = ((20, 60), (60, 200), (200, 600), (600, 1_500), (1_500, 4_000))
"""How often a rule is applied, by difficulty."""


def _steps(rng: np.random.Generator, difficulty: int) -> int:
    return between(rng, *_STEPS[difficulty - 1])


def _sequence(rng: np.random.Generator, difficulty: int) -> Problem:
    steps, modulus = _steps(rng, difficulty), between(rng, 50, 2_000)
    a, c, first = between(rng, 2, 99), between(rng, 1, 99), between(rng, 1, 49)
    square = difficulty > 2
    x, even = first, 0
    for _ in range(steps):
        x = (a * x * x + c if square else a * x + c) % modulus
        even += x % 2 == 0
    counts = difficulty > 1
    rule = f"{a} * x{'^2' if square else ''} + {c}"
    what = "How many even numbers did you get?" if counts else "What is the last x?"
    return Problem.of(
        f"Start with x = {first}. Do the following {steps} times: replace x by the remainder of {rule} when "
        "it is divided "
        f"by {modulus}. {what}" + (f" (x = {first} itself does not count.)" if counts else ""),
        even if counts else x,
        f"""
        x, even = {first}, 0
        for _ in range({steps}):
            x = ({a} * x{" * x" if square else ""} + {c}) % {modulus}
            even += x % 2 == 0
        print({"even" if counts else "x"})
        """,
    )


def _recurrence(rng: np.random.Generator, difficulty: int) -> Problem:
    index, modulus = _steps(rng, difficulty), between(rng, 100, 99_999)
    order = 2 if difficulty < 3 else 3
    factors = [between(rng, 1, 9) for _ in range(order)]
    terms = [between(rng, 0, 20) for _ in range(order)]
    last = list(terms)
    for _ in range(index - order):
        last = [*last[1:], sum(f * t for f, t in zip(factors, reversed(last), strict=True)) % modulus]
    rule = " + ".join(f"{factor} * a({'n-' + str(back)})" for back, factor in enumerate(factors, 1))
    given = ", ".join(f"a({n}) = {term}" for n, term in enumerate(terms, 1))
    code = " + ".join(f"{factor} * a[-{back}]" for back, factor in enumerate(factors, 1))
    return Problem.of(
        f"A sequence has {given}, and a(n) = {rule} for every n > {order}. What is the remainder when "
        f"a({index}) is divided by {modulus}?",
        last[-1] % modulus,
        f"""
        a = {terms}
        while len(a) < {index}:
            a.append(({code}) % {modulus})
        print(a[-1] % {modulus})
        """,
    )


def _elimination(rng: np.random.Generator, difficulty: int) -> Problem:
    size, skip, left = (
        _steps(rng, difficulty) // 2 + 5,
        between(rng, 2, 60 + 20 * difficulty),
        between(rng, 1, 3),
    )
    first = between(rng, 1, size)
    ring = list(range(1, size + 1))
    place = first - 1
    while len(ring) > left:
        place = (place + skip - 1) % len(ring)
        ring.pop(place)
    what = "What is the number of the one who is left?" if left == 1 else (
        f"What is the sum of the numbers of the {left} who are left?"
    )  # fmt: skip
    return Problem.of(
        f"{size} people with the numbers 1 to {size} stand in a circle in this order. Counting starts with "
        f"number {first} as one; whoever is counted as {skip} leaves the circle, and counting starts again "
        f"at one with the next person who is still there. This goes on until {left} "
        f"{'is' if left == 1 else 'are'} left. {what}",
        sum(ring),
        f"""
        from collections import deque

        ring = deque(range(1, {size + 1}))
        ring.rotate(-{first - 1})
        while len(ring) > {left}:
            ring.rotate(-{skip - 1})
            ring.popleft()
        print(sum(ring))
        """,
    )


def _collatz(rng: np.random.Generator, difficulty: int) -> Problem:
    factor, plus = pick(rng, ((3, 1), (3, 3), (3, 5), (3, 7)))
    width = (10, 20, 30, 40, 60)[difficulty - 1]
    low = between(rng, 2, 2_000 * difficulty)
    high, cap = low + between(rng, width // 2, width), between(rng, 20, 60)
    total = 0
    for start in range(low, high + 1):
        x, count = start, 0
        while x > plus and count < cap:
            x, count = (x // 2 if x % 2 == 0 else factor * x + plus), count + 1
        total += count
    return Problem.of(
        f"One step takes an even number x to x / 2 and an odd one to {factor} * x + {plus}. From each whole "
        f"number from {low} to {high}, steps are taken until the number is at most {plus}, but never more "
        f"than {cap} steps. How many steps are that in all?",
        total,
        f"""
        total = 0
        for x in range({low}, {high + 1}):
            count = 0
            while x > {plus} and count < {cap}:
                x = x // 2 if x % 2 == 0 else {factor} * x + {plus}
                count += 1
            total += count
        print(total)
        """,
    )


def _walk(rng: np.random.Generator, difficulty: int) -> Problem:
    steps, size = _steps(rng, difficulty), between(rng, 11, 60 * difficulty)
    a, b = between(rng, 1, 30), between(rng, 0, 30)
    place, seen = 0, {0}
    for step in range(1, steps + 1):
        place = (place + a * step * step + b) % size
        seen.add(place)
    jump = "step^2" if a == 1 else f"{a} * step^2"
    return Problem.of(
        f"{size} fields are arranged in a circle and numbered from 0 to {size - 1}. A token starts on field "
        f"0 and makes {steps} jumps: in step 1, 2, 3, ... it jumps {jump} + {b} fields forwards, from field "
        f"{size - 1} on to field 0. On how many different fields does it stand at some time, the start "
        "included? (Only where it lands counts.)",
        len(seen),
        f"""
        place, seen = 0, {{0}}
        for step in range(1, {steps + 1}):
            place = (place + {a} * step * step + {b}) % {size}
            seen.add(place)
        print(len(seen))
        """,
    )


def _robot(rng: np.random.Generator, difficulty: int) -> Problem:
    rounds = _steps(rng, difficulty)
    program = [(pick(rng, "LR"), between(rng, 1, 9)) for _ in range(2 + difficulty)]
    slow = between(rng, 2, 7)
    x = y = far = 0
    dx, dy = 0, 1
    for number in range(1, rounds + 1):
        turn, length = program[(number - 1) % len(program)]
        dx, dy = (-dy, dx) if turn == "L" else (dy, -dx)
        length += number % slow
        x, y = x + dx * length, y + dy * length
        far = max(far, abs(x) + abs(y))
    listing = ", ".join(f"{turn}{length}" for turn, length in program)
    return Problem.of(
        f"A robot stands at (0, 0) and looks towards positive y. It follows the moves {listing}, over and "
        f"over, until it has made {rounds} moves. L or R means to turn left or right by 90 degrees, then it "
        "goes straight ahead: move number n (n = 1, 2, 3, ...) goes as far as the number behind the letter "
        f"plus the remainder of n divided by {slow}. What is the largest value that |x| + |y| has at the end "
        "of a move?",
        far,
        f"""
        moves = {program}
        x = y = far = 0
        dx, dy = 0, 1
        for n in range(1, {rounds + 1}):
            turn, length = moves[(n - 1) % len(moves)]
            dx, dy = (-dy, dx) if turn == "L" else (dy, -dx)
            x += dx * (length + n % {slow})
            y += dy * (length + n % {slow})
            far = max(far, abs(x) + abs(y))
        print(far)
        """,
    )


def _account(rng: np.random.Generator, difficulty: int) -> Problem:
    years, percent = _steps(rng, difficulty) // 12 + 5, between(rng, 2, 9)
    start = between(rng, 5_000, 50_000)
    fee, bonus = between(rng, 50, start * percent // 150), between(rng, 20, 900)
    every = between(rng, 3, 7)
    name, balance = pick(rng, NAMES), start
    for year in range(1, years + 1):
        balance += balance * percent // 100 - fee
        balance += bonus if year % every == 0 else 0
    return Problem.of(
        f"{name} has {start} coins in an account. Each year {percent}% of the balance, rounded down to whole "
        f"coins, is added, and then {fee} coins are taken; in every year whose number is divisible by "
        f"{every}, {bonus} coins are put in after that. The first year has the number 1. How many coins are "
        f"there after {years} years?",
        balance,
        f"""
        balance = {start}
        for year in range(1, {years + 1}):
            balance += balance * {percent} // 100
            balance -= {fee}
            if year % {every} == 0:
                balance += {bonus}
        print(balance)
        """,
    )


KINDS: dict[str, Maker] = {
    "sequence": _sequence,
    "recurrence": _recurrence,
    "elimination": _elimination,
    "collatz": _collatz,
    "walk": _walk,
    "robot": _robot,
    "account": _account,
}
"""Name -> generator."""
