"""Math-v0: answers recomputed from the text of the question, by definition or by enumeration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import combinations, product
from math import prod

import pytest

from textgym import seeding
from textgym.tasks.math.generator import DIFFICULTIES, make_problem


def whole(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def value(expression: str, **unknowns: Fraction) -> Fraction:
    """An expression of the question, with 3x read as a product."""
    code = re.sub(r"(?<=[0-9a-z)])\s*(?=[a-z(])", "*", expression.replace("^", "**"))
    code = re.sub(r"(?<!\*\*)\b\d+", lambda number: f"Fraction({number[0]})", code)
    return Fraction(eval(code, {"Fraction": Fraction, **unknowns}))


def expected(kind: str, question: str) -> Fraction:
    return Fraction(RECOMPUTED[kind](question))


def arithmetic(question: str) -> Fraction:
    return value(question.removeprefix("Compute ").removesuffix("."))


def stock(question: str) -> Fraction:
    count = Fraction(0)
    for sentence in question.split(". "):
        numbers = whole(sentence)
        if " has " in sentence and numbers:
            count = Fraction(numbers[0])
        elif "sells" in sentence:
            count -= numbers[0]
        elif "boxes" in sentence:
            count += numbers[0] * numbers[1]
        elif "Half" in sentence:
            count /= 2
        elif "brings" in sentence:
            count += numbers[0]
    return count


def shopping(question: str) -> int:
    cost = sum(int(a) * int(b) for a, b in re.findall(r"(\d+) \w+ at (\d+)", question))
    paid = re.search(r"pays with (\d+)", question)
    return int(paid[1]) - cost if paid else cost


def journey(question: str) -> Fraction:
    legs = [(int(a), int(b)) for a, b in re.findall(r"(\d+) hours? at (\d+)", question)]
    distance = Fraction(sum(a * b for a, b in legs))
    return distance / sum(a for a, _ in legs) if "mean speed" in question else distance


def ages(question: str) -> Fraction:
    *sentences, last = re.split(r"\. ", question)
    known: dict[str, Fraction] = {}
    for sentence in sentences:
        name, other = sentence.split()[0], sentence.split()[-1]
        number = Fraction((whole(sentence) or [0])[0])
        known[name] = (
            known[other] + number if "older" in sentence
            else known[other] - number if "younger" in sentence
            else known[other] * 2 if "twice" in sentence
            else known[other] * 3 if "three times" in sentence
            else known[other] / 2 if "half" in sentence
            else number
        )  # fmt: skip
    name = re.findall(r"[A-Z]\w+", last)[-1]
    return known[name] + (whole(last)[0] if "will" in last else 0)


def found(pattern: str, text: str) -> re.Match[str]:
    match = re.search(pattern, text)
    assert match, text
    return match


def sharing(question: str) -> Fraction:
    if "equally" in question:
        people, total = whole(question)
        return Fraction(total, people)
    ratio = [int(part) for part in found(r"ratio ([\d:]+)", question)[1].split(":")]
    total, *lost = whole(question.split("ratio")[0])
    given = total - (lost[0] if lost else 0)
    share = [Fraction(given * part, sum(ratio)) for part in ratio]
    return share[0] + share[2] if "together" in question else share[0]


def percent(question: str) -> Fraction:
    price = Fraction(whole(question)[0])
    simple = re.search(r"are (\d+)% of", question)
    if simple:
        return price * int(simple[1]) / 100
    for way, rate in re.findall(r"(raised|lowered) by (\d+)%", question):
        price *= 1 + Fraction(int(rate) if way == "raised" else -int(rate), 100)
    count = re.search(r"do (\d+) such", question)
    return price * (int(count[1]) if count else 1)


def work(question: str) -> Fraction:
    numbers = whole(question)
    if "machine" in question:
        return Fraction(sum(numbers[:-1]) * numbers[-1])
    hours = [int(number) for number in re.findall(r"fence in (\d+) hour", question)]
    one = 1 / sum(Fraction(1, each) for each in hours)
    more = re.search(r"paint (\d+) such .* take (\d+) hour", question)
    return one * int(more[1]) + int(more[2]) if more else one


def solves(question: str, answer: Fraction) -> bool:
    """Whether the unknown that is asked for has the value that the equations force on it."""
    equations = found(r"Given that (.*), what is", question)[1].split(" and ")
    sides = [equation.split(" = ") for equation in equations]

    def residual(*point: int) -> list[Fraction]:
        unknowns = dict(zip("xy", map(Fraction, point), strict=False))
        return [value(left, **unknowns) - value(right, **unknowns) for left, right in sides]

    # Linear equations are known from their values at the origin and the unit points.
    origin = residual(0, 0)
    x, y = ([b - a for a, b in zip(origin, at, strict=True)] for at in (residual(1, 0), residual(0, 1)))
    if len(sides) == 1:
        return x[0] != 0 and answer == -origin[0] / x[0]
    determinant = x[0] * y[1] - y[0] * x[1]
    assert determinant
    found_x = (y[0] * origin[1] - origin[0] * y[1]) / determinant
    found_y = (origin[0] * x[1] - x[0] * origin[1]) / determinant
    point = {"x": found_x, "y": found_y}
    assert not any(value(left, **point) - value(right, **point) for left, right in sides)
    return answer == {"x?": found_x, "y?": found_y, "xy?": found_x * found_y}[question.split()[-1]]


def is_larger_root(question: str, answer: Fraction) -> bool:
    left, right = found(r"of (?:the two solutions of )?(\S*x\^2.*)\?", question)[1].split(" = ")

    def at(x: Fraction) -> Fraction:
        return value(left, x=x) - value(right, x=x)

    second = (at(Fraction(1)) + at(Fraction(-1)) - 2 * at(Fraction(0))) / 2
    first = (at(Fraction(1)) - at(Fraction(-1))) / 2
    other = -first / second - answer  # by Vieta
    return at(answer) == 0 and at(other) == 0 and answer > other


def divisors(n: int) -> Iterator[int]:
    for i in range(1, int(n**0.5) + 1):
        if n % i == 0:
            yield from {i, n // i}


def gcd(question: str) -> int:
    a, b = whole(question)
    return max(d for d in divisors(a) if b % d == 0)


def lcm(question: str) -> int:
    a, b = whole(question)
    return next(multiple for multiple in range(a, a * b + 1, a) if multiple % b == 0)


def remainder(question: str) -> int:
    text, modulus = found(r"when (.*) is divided by (\d+)", question).groups()
    total = sum(prod(map(int, term.split(" * "))) for term in text.split(" + "))
    return total - total // int(modulus) * int(modulus)


def modular_power(question: str) -> int:
    base, exponent, modulus = whole(question)
    return int(base**exponent) % modulus


def digit_sum(question: str) -> int:
    return sum(map(int, str(prod(whole(question)))))


def grid(cells: Callable[[int, int], bool], wide: int, high: int) -> int:
    return sum(cells(i, j) for i in range(wide) for j in range(high))


def rectangle(question: str) -> int:
    numbers = whole(question)
    if "path" in question:
        a, b, border, *price = numbers
        path = grid(
            lambda i, j: not (border <= i < border + a and border <= j < border + b),
            a + 2 * border,
            b + 2 * border,
        )
        return path * (price[0] if price else 1)
    if "perimeter of" in question:
        around, a = numbers
        return next(a * b for b in range(1, around) if a + b + a + b == around)
    a, b = numbers
    return sum((a, b, a, b)) if "perimeter" in question else grid(lambda i, j: True, a, b)


def angles(question: str) -> Fraction:
    numbers = whole(question)
    if "together" in question:
        whole_angle = {"right": 90, "straight": 180, "full": 360}[question.split()[4]]
        return Fraction(whole_angle - numbers[0])
    if "third" in question:
        return Fraction(180 - sum(numbers))
    if "exterior" in question:
        return 180 - Fraction(180 - numbers[0], 2)
    corners, *others = numbers
    inside = Fraction(180 * corners - 360)
    if "ratio" not in question:
        return (inside - others[0]) / (corners - 1)
    shares = [inside * part / sum(others) for part in others]
    assert len(shares) == corners
    assert max(shares) < 180
    return max(shares) - min(shares)


def right_triangle(question: str) -> Fraction:
    a, b = whole(question)[:2]
    if "third" in question:
        half = Fraction(b, 2)
        height = exact_root(a * a - half * half)
        radius = half * height / (a + half)
        # The centre is as far from the slanted side (0, height)-(half, 0) as from the base.
        assert (half * height - half * radius) ** 2 == radius**2 * (half**2 + height**2)
        return radius
    if "longest side of" in question:
        return exact_root(Fraction(a * a - b * b)) * b / 2
    if "area" in question:
        return Fraction(a * b, 2)
    longest = exact_root(Fraction(a * a + b * b))
    return 2 * a * b / longest if "twice" in question else longest


def exact_root(square: Fraction) -> Fraction:
    root = Fraction(round(float(square) ** 0.5 * 2), 2)
    assert root * root == square
    return root


def composite(question: str) -> Fraction:
    a, b, *more = whole(question)
    if "pond in it covers" in question:
        return Fraction(a * b - more[0])
    if "pond" in question:
        return Fraction(a * b - more[0] * more[1])
    area = shoelace([(0, 0), (a, 0), (a, b), (a // 2, b + more[0]), (0, b)])
    if "door" in question:
        area -= more[1] * more[2]
    if "windows" in question:
        area -= more[3] * more[4] ** 2
    return area


def shoelace(points: list[tuple[int, int]]) -> Fraction:
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return Fraction(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs), 2)


def dice(question: str) -> Fraction:
    numbers = whole(question)
    if "fair die" in question:
        faces, least = numbers[1], numbers[-1]
        return Fraction(sum(face > least for face in range(1, faces + 1)), faces)
    sizes, total = whole(question.split("faces")[0]), numbers[-1]
    rolls = [sum(roll) for roll in product(*(range(1, size + 1) for size in sizes))]
    right = sum(roll >= total if "at least" in question else roll == total for roll in rolls)
    return Fraction(right, len(rolls))


def urn(question: str) -> Fraction:
    red, blue = whole(question)[:2]
    if "One ball" in question:
        return Fraction(red, red + blue)
    draws = int(found(r"(\d) balls are drawn", question)[1])
    exactly = re.search(r"exactly (\d)", question)
    wanted = int(exactly[1]) if exactly else draws
    hands = list(combinations([True] * red + [False] * blue, draws))
    return Fraction(sum(sum(hand) == wanted for hand in hands), len(hands))


def coins(question: str) -> Fraction:
    odds = re.search(r"probability (\d+/\d+)", question)
    heads = Fraction(odds[1]) if odds else Fraction(1, 2)
    flips = int(found(r"flipped (\d+) times", question)[1])
    chances = [Fraction(1)]  # of each number of heads, flip by flip
    for _ in range(flips):
        padded = [Fraction(0), *chances, Fraction(0)]
        chances = [padded[i] * heads + padded[i + 1] * (1 - heads) for i in range(len(padded) - 1)]
    if "tails" in question:
        chances.reverse()
    bound = re.search(r"(at least|at most|exactly) (\d+)", question)
    if bound is None:
        return chances[-1]
    count = int(bound[2])
    chosen = {"at least": chances[count:], "at most": chances[: count + 1], "exactly": [chances[count]]}
    return sum(chosen[bound[1]], Fraction(0))


RECOMPUTED: dict[str, Callable[[str], Fraction | int]] = {
    function.__name__: function
    for function in (
        arithmetic, stock, shopping, journey, ages, sharing, percent, work, gcd, lcm, remainder,
        modular_power, digit_sum, rectangle, angles, right_triangle, composite, dice, urn, coins,
    )
} | {"divisors": lambda question: len(set(divisors(whole(question)[0])))}  # fmt: skip


@pytest.mark.parametrize("kind", RECOMPUTED)
def test_answers_by_definition(kind: str) -> None:
    for difficulty in DIFFICULTIES:
        for seed in range(40):
            problem = make_problem(seeding.generator(seed, kind), difficulty, (kind,))
            assert problem.answer == expected(kind, problem.question), problem


@pytest.mark.parametrize(
    ("kind", "check"), [("linear", solves), ("system", solves), ("quadratic", is_larger_root)]
)
def test_equations_by_substitution(kind: str, check: Callable[[str, Fraction], bool]) -> None:
    for difficulty in DIFFICULTIES:
        for seed in range(100):
            problem = make_problem(seeding.generator(seed, kind), difficulty, (kind,))
            assert check(problem.question, problem.answer), problem
