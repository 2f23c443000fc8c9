"""Algebra: linear equations, systems of two, quadratic equations with rational roots.

Invariant: equations are made from their solutions, so that they have exactly the one that is asked for; the
question names one number, also where there are several unknowns or roots.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from textgym.tasks.math.problem import Maker, Problem, Working, between

__all__ = ["KINDS"]


def _sum(*terms: tuple[int, str]) -> str:
    """``3x - y + 5``: terms with coefficient 0 are left out; an empty sum is 0."""
    text = ""
    for coefficient, name in terms:
        if not coefficient:
            continue
        size = abs(coefficient)
        body = name if size == 1 and name else f"{size}{name}"
        sign = ("-" if coefficient < 0 else "") if not text else (" - " if coefficient < 0 else " + ")
        text += sign + body
    return text or "0"


def _signed(rng: np.random.Generator, low: int, high: int) -> int:
    return between(rng, low, high) * (1 if rng.integers(2) else -1)


def _linear(rng: np.random.Generator, difficulty: int) -> Problem:
    work, size = Working(), 5 + 5 * difficulty
    x = _signed(rng, 1, 4 * size) if difficulty > 1 else between(rng, 1, 99)
    b = _signed(rng, 1, 3 * size)
    if difficulty == 1:
        work.do(x + b, "-", b)
        return _solve("linear", [(_sum((1, "x"), (b, "")), str(x + b))], "x", work)
    a = between(rng, 3, size)
    if difficulty == 2:
        work.do(work.do(a * x + b, "-", b), "/", a)
        return _solve("linear", [(_sum((a, "x"), (b, "")), str(a * x + b))], "x", work)
    c = between(rng, 1, a - 1)
    if difficulty == 3:
        right = a * x + b - c * x
        coefficient = work.do(a, "-", c)
        work.do(work.do(right, "-", b), "/", coefficient)
        return _solve("linear", [(_sum((a, "x"), (b, "")), _sum((c, "x"), (right, "")))], "x", work)
    if difficulty == 4:
        right = a * (x + b) - c * x
        product = work.do(a, "*", b)
        coefficient = work.do(a, "-", c)
        work.do(work.do(right, "-", product), "/", coefficient)
        return _solve("linear", [(f"{a}({_sum((1, 'x'), (b, ''))})", _sum((c, "x"), (right, "")))], "x", work)
    d, right = _signed(rng, 1, size), _signed(rng, 10, 300)
    products = work.do(a, "*", b), work.do(c, "*", d)
    constant = work.do(products[0], "-", products[1])
    coefficient = work.do(a, "-", c)
    work.do(work.do(right, "-", constant), "/", coefficient)
    left = f"{a}({_sum((1, 'x'), (b, ''))}) - {'' if c == 1 else c}({_sum((1, 'x'), (d, ''))})"
    return _solve("linear", [(left, str(right))], "x", work)


def _solve(kind: str, equations: Sequence[tuple[str, str]], asked: str, work: Working) -> Problem:
    text = " and ".join(f"{left} = {right}" for left, right in equations)
    return work.problem(kind, f"Given that {text}, what is {asked}?")


def _system(rng: np.random.Generator, difficulty: int) -> Problem:
    """Two unknowns."""
    work, size = Working(), 4 + 6 * difficulty
    x, y = _signed(rng, 1, size), _signed(rng, 1, size)
    if difficulty == 1:
        work.do(work.do(x + y, "+", x - y), "/", 2)
        return _solve("system", [("x + y", str(x + y)), ("x - y", str(x - y))], "x", work)
    if difficulty == 2:
        a = between(rng, 2, 9)
        b = y - a * x
        work.do(work.do(x + y, "-", b), "/", work.do(1, "+", a))
        return _solve("system", [("y", _sum((a, "x"), (b, ""))), ("x + y", str(x + y))], "x", work)
    if difficulty == 3:
        a, b = between(rng, 2, 6), between(rng, 7, 12)
        first, second = a * x + y, b * x + y
        found = work.do(work.do(second, "-", first), "/", work.do(b, "-", a))
        work.do(first, "-", work.do(a, "*", found))
        equations = [(_sum((a, "x"), (1, "y")), str(first)), (_sum((b, "x"), (1, "y")), str(second))]
        return _solve("system", equations, "y", work)
    return _general_system(rng, difficulty, (x, y), work)


def _general_system(
    rng: np.random.Generator, difficulty: int, solution: tuple[int, int], work: Working
) -> Problem:
    """By Cramer's rule."""
    x, y = solution
    top = 3 + 2 * difficulty
    a, b, c, d = between(rng, 2, top), _signed(rng, 2, top), between(rng, 2, top), _signed(rng, 2, top)
    if a * d == b * c:
        d += 1 if d != -1 else 2
    e, f = a * x + b * y, c * x + d * y
    determinant = work.do(work.do(a, "*", d), "-", work.do(b, "*", c))
    found = work.do(work.do(work.do(e, "*", d), "-", work.do(b, "*", f)), "/", determinant)
    asked = "x"
    if difficulty == 5:
        other = work.do(work.do(work.do(a, "*", f), "-", work.do(e, "*", c)), "/", determinant)
        work.do(found, "*", other)
        asked = "the product xy"
    equations = [(_sum((a, "x"), (b, "y")), str(e)), (_sum((c, "x"), (d, "y")), str(f))]
    return _solve("system", equations, asked, work)


def _quadratic(rng: np.random.Generator, difficulty: int) -> Problem:
    work = Working()
    if difficulty < 3:
        root, shift = between(rng, 2, 60), _signed(rng, 1, 99)
        if difficulty == 1:
            work.root(root * root)
            text = f"x^2 = {root * root}"
        else:
            total = root * root + shift
            text = f"{_sum((1, 'x^2'), (shift, ''))} = {total}"
            work.root(work.do(total, "-", shift))
        return work.problem("quadratic", f"What is the positive solution of {text}?")
    size = 3 * difficulty
    p, q = _signed(rng, 1, size), _signed(rng, 1, size)
    q = q if q != p else q + size
    a = 1 if difficulty == 3 else between(rng, 2, 5)
    # a (x - p/a)(x - q) = 0 has a rational and a whole root.
    b, c = -(p + a * q), p * q
    if p == a * q:
        b, c, p = b - 1, c + q, p + 1
    bx, cx, right = b, c, "0"
    if difficulty == 5:
        e, f = _signed(rng, 1, 20), _signed(rng, 1, 99)
        bx, cx, right = b + e, c + f, _sum((e, "x"), (f, ""))
        work.do(bx, "-", e)
        work.do(cx, "-", f)
    difference = work.do(work.do(b, "^", 2), "-", work.do(work.do(4, "*", a), "*", c) if a > 1
                         else work.do(4, "*", c))  # fmt: skip
    work.do(work.do(-b, "+", work.root(difference)), "/", work.do(2, "*", a) if a > 1 else 2)
    text = f"{_sum((a, 'x^2'), (bx, 'x'), (cx, ''))} = {right}"
    return work.problem("quadratic", f"What is the larger one of the two solutions of {text}?")


KINDS: dict[str, Maker] = {"linear": _linear, "system": _system, "quadratic": _quadratic}
"""Name -> generator."""
