"""Geometry with rational answers: rectangles, angles, right triangles, areas of several pieces.

Invariant: figures exist (sides and angles are positive, pieces fit), every length that needs a root has a
whole one, and the unit of the answer stands in the question.
"""

from __future__ import annotations

import numpy as np

from textgym.tasks.math.problem import Maker, Problem, Working, between, pick

__all__ = ["KINDS"]

TRIPLES = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29), (12, 35, 37), (9, 40, 41))
"""Primitive right triangles."""


def _rectangle(rng: np.random.Generator, difficulty: int) -> Problem:
    work, size = Working(), 10 + 12 * difficulty
    a, b = between(rng, 3, size), between(rng, 3, size)
    shape = f"A rectangle is {a} m long and {b} m wide."
    if difficulty == 1:
        work.do(a, "*", b)
        return work.problem("rectangle", f"{shape} What is its area in square metres?")
    if difficulty == 2:
        work.do(2, "*", work.do(a, "+", b))
        return work.problem("rectangle", f"{shape} What is its perimeter in metres?")
    if difficulty == 3:
        around = 2 * (a + b)
        work.do(a, "*", work.do(work.do(around, "/", 2), "-", a))
        shape = f"A rectangle has a perimeter of {around} m and a side of {a} m."
        return work.problem("rectangle", f"{shape} What is its area in square metres?")
    border = between(rng, 1, 9)
    double = work.do(2, "*", border)
    outer = work.do(work.do(a, "+", double), "*", work.do(b, "+", double))
    area = work.do(outer, "-", work.do(a, "*", b))
    shape = f"A pool is a rectangle, {a} m long and {b} m wide. Around it, outside of the pool, runs a path "
    shape += f"that is {border} m wide everywhere and has square corners."
    if difficulty == 4:
        return work.problem("rectangle", f"{shape} What is the area of the path in square metres?")
    price = between(rng, 3, 40)
    work.do(area, "*", price)
    question = f"{shape} Each square metre of the path costs {price} coins. How many coins does it cost?"
    return work.problem("rectangle", question)


def _angles(rng: np.random.Generator, difficulty: int) -> Problem:
    work = Working()
    if difficulty == 1:
        whole, name = pick(rng, ((90, "right angle"), (180, "straight angle"), (360, "full turn")))
        part = between(rng, 5, whole - 5)
        work.do(whole, "-", part)
        text = f"Two angles make a {name} together. One has {part} degrees."
        return work.problem("angles", f"{text} How many degrees has the other?")
    if difficulty == 2:
        a, b = between(rng, 15, 80), between(rng, 15, 80)
        work.do(180, "-", work.do(a, "+", b))
        text = f"Two angles of a triangle have {a} and {b} degrees."
        return work.problem("angles", f"{text} How many degrees has the third?")
    if difficulty == 3:
        apex = between(rng, 10, 170)
        work.do(180, "-", work.do(work.do(180, "-", apex), "/", 2))
        text = f"The angle between the two equal sides of an isosceles triangle has {apex} degrees."
        question = f"{text} How many degrees has the exterior angle at another corner?"
        return work.problem("angles", question)
    corners = between(rng, 4, 9) if difficulty == 4 else between(rng, 4, 6)
    total = work.do(work.do(corners, "-", 2), "*", 180)
    if difficulty == 4:
        known = between(rng, 60, 150)
        work.do(work.do(total, "-", known), "/", corners - 1)
        text = f"A convex polygon has {corners} corners. One interior angle has {known} degrees, and all the "
        return work.problem("angles", f"{text}others are equal. How many degrees has each of the others?")
    parts = [between(rng, 10, 15) for _ in range(corners)]  # no angle reaches 180 degrees
    parts[0] -= min(parts) == max(parts)
    unit = work.do(total, "/", work.total(parts))
    work.do(work.do(unit, "*", max(parts)), "-", work.do(unit, "*", min(parts)))
    text = f"The interior angles of a convex polygon with {corners} corners are in the ratio "
    text += f"{':'.join(map(str, parts))}."
    question = f"{text} By how many degrees is the largest larger than the smallest?"
    return work.problem("angles", question)


def _right_triangle(rng: np.random.Generator, difficulty: int) -> Problem:
    work = Working()
    factor = between(rng, 1, 4 + 4 * difficulty)
    a, b, c = (factor * side for side in TRIPLES[int(rng.integers(min(2 + difficulty, len(TRIPLES))))])
    if rng.integers(2):
        a, b = b, a
    legs = f"The legs of a right triangle are {a} cm and {b} cm long."
    if difficulty == 1:
        a, b = between(rng, 3, 30), between(rng, 3, 30)
        work.do(work.do(a, "*", b), "/", 2)
        legs = f"The legs of a right triangle are {a} cm and {b} cm long."
        return work.problem("right_triangle", f"{legs} What is its area in square centimetres?")
    if difficulty == 3:
        leg = work.root(work.do(work.do(c, "^", 2), "-", work.do(a, "^", 2)))
        work.do(work.do(a, "*", leg), "/", 2)
        text = f"The longest side of a right triangle is {c} cm long, and another side {a} cm."
        return work.problem("right_triangle", f"{text} What is its area in square centimetres?")
    if difficulty == 5:
        return _isosceles(work, a, c)
    hypotenuse = work.root(work.do(work.do(a, "^", 2), "+", work.do(b, "^", 2)))
    if difficulty == 2:
        return work.problem("right_triangle", f"{legs} How long is its longest side, in cm?")
    work.do(work.do(work.do(a, "*", b), "/", hypotenuse), "*", 2)
    text = f"{legs} Its height is measured from the longest side to the corner opposite to it."
    return work.problem("right_triangle", f"{text} How much is twice that height, in cm?")


def _isosceles(work: Working, half: int, side: int) -> Problem:
    """The radius of the inscribed circle: twice the area over the perimeter."""
    base = 2 * half
    leg = work.do(base, "/", 2)
    height = work.root(work.do(work.do(side, "^", 2), "-", work.do(leg, "^", 2)))
    double = work.do(base, "*", height)
    work.do(double, "/", work.do(work.do(2, "*", side), "+", base))
    text = f"Two sides of a triangle are {side} cm long, and the third is {base} cm long."
    question = f"{text} What is the radius of the circle inscribed in it, in cm?"
    return work.problem("right_triangle", question)


def _composite(rng: np.random.Generator, difficulty: int) -> Problem:
    work, size = Working(), 12 + 6 * difficulty
    a, b = between(rng, 10, size), between(rng, 8, size)
    area = work.do(a, "*", b)
    end = "in square metres?"
    if difficulty < 3:
        text = f"A rectangular field is {a} m long and {b} m wide."
        if difficulty == 1:
            pond = between(rng, 5, 60)
            work.do(area, "-", pond)
            text += f" A pond in it covers {pond} square metres."
        else:
            c, d = between(rng, 2, a - 2), between(rng, 2, b - 2)
            work.do(area, "-", work.do(c, "*", d))
            text += f" A rectangular pond in it is {c} m long and {d} m wide."
        return work.problem("composite", f"{text} What is the area of the field without the pond, {end}")
    top = between(rng, 2, size)
    area = work.do(area, "+", work.do(work.do(a, "*", top), "/", 2))
    text = f"A wall is a rectangle, {a} m wide and {b} m high, with a triangle on top. The base of the "
    text += f"triangle is the whole upper side of the rectangle, and the triangle is {top} m high."
    if difficulty == 3:
        return work.problem("composite", f"{text} What is the area of the wall {end}")
    wide, high = between(rng, 1, 3), between(rng, 2, 4)
    area = work.do(area, "-", work.do(wide, "*", high))
    text += f" In it is a door, {wide} m wide and {high} m high."
    if difficulty == 5:
        count, side = between(rng, 2, 9), pick(rng, (1, 2))
        area = work.do(area, "-", work.do(count, "*", work.do(side, "^", 2)))
        text += f" There are also {count} square windows with sides of {side} m."
    what = "the door" if difficulty == 4 else "the door and the windows"
    return work.problem("composite", f"{text} What is the area of the wall without {what}, {end}")


KINDS: dict[str, Maker] = {
    "rectangle": _rectangle,
    "angles": _angles,
    "right_triangle": _right_triangle,
    "composite": _composite,
}
"""Name -> generator."""
