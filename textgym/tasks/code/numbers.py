"""Steps on lists of whole numbers.

Invariant: that of ``step.py``. Positions count from 0, and every sentence says what becomes of the empty list
where it is not plain.
"""

# ruff: noqa: D205 (the docstring of a step is one sentence of the task, however long it is)
from __future__ import annotations

from textgym.tasks.code.step import Steps

__all__ = ["NUMBERS"]

NUMBERS = Steps()
"""Name -> step."""


@NUMBERS.add(k=range(-30, 51))
def keep_above(x: list[int], k: int) -> list[int]:
    """Keep only the numbers that are greater than {k}."""
    return [v for v in x if v > k]


@NUMBERS.add(k=range(-15, 46))
def keep_below(x: list[int], k: int) -> list[int]:
    """Keep only the numbers that are less than {k}."""
    return [v for v in x if v < k]


@NUMBERS.add(k=range(2, 7))
def keep_divisible(x: list[int], k: int) -> list[int]:
    """Keep only the numbers that are divisible by {k} (0 is)."""
    return [v for v in x if v % k == 0]


@NUMBERS.add(k=range(2, 7))
def drop_divisible(x: list[int], k: int) -> list[int]:
    """Remove the numbers that are divisible by {k} (0 is)."""
    return [v for v in x if v % k != 0]


@NUMBERS.add(k=range(2, 5))
def keep_places(x: list[int], k: int) -> list[int]:
    """Keep only the numbers at positions that are divisible by {k}; the first position is 0."""
    return x[::k]


@NUMBERS.add(k=range(2, 5))
def drop_places(x: list[int], k: int) -> list[int]:
    """Remove the numbers at positions that are divisible by {k}; the first position is 0."""
    return [v for i, v in enumerate(x) if i % k != 0]


@NUMBERS.add(k=[*range(-40, 0), *range(1, 61)])
def add(x: list[int], k: int) -> list[int]:
    """Add {k} to every number."""
    return [v + k for v in x]


@NUMBERS.add(k=[*range(-12, 0), *range(2, 26)])
def multiply(x: list[int], k: int) -> list[int]:
    """Multiply every number by {k}."""
    return [v * k for v in x]


@NUMBERS.add(k=[*range(-12, 0), *range(2, 26)])
def multiply_even(x: list[int], k: int) -> list[int]:
    """Multiply every even number by {k}; the odd numbers stay as they are."""
    return [v * k if v % 2 == 0 else v for v in x]


@NUMBERS.add(k=[*range(-30, 0), *range(1, 41)])
def add_odd(x: list[int], k: int) -> list[int]:
    """Add {k} to every odd number; the even numbers stay as they are."""
    return [v + k if v % 2 else v for v in x]


@NUMBERS.add()
def square(x: list[int]) -> list[int]:
    """Replace every number by its square."""
    return [v * v for v in x]


@NUMBERS.add()
def absolute(x: list[int]) -> list[int]:
    """Replace every number by its absolute value."""
    return [abs(v) for v in x]


@NUMBERS.add(k=range(3, 41))
def remainder(x: list[int], k: int) -> list[int]:
    """Replace every number by its remainder when it is divided by {k}; remainders are never negative."""
    return [v % k for v in x]


@NUMBERS.add(k=range(2, 8))
def divide(x: list[int], k: int) -> list[int]:
    """Divide every number by {k} and round down, so that -1 gives -1."""
    return [v // k for v in x]


@NUMBERS.add(low=range(-12, 4), high=range(5, 25))
def clip(x: list[int], low: int, high: int) -> list[int]:
    """Replace every number below {low} by {low}, and every number above {high} by {high}."""
    return [min(max(v, low), high) for v in x]


@NUMBERS.add()
def digit_sums(x: list[int]) -> list[int]:
    """Replace every number by the sum of its decimal digits; a minus sign does not count."""
    return [sum(int(d) for d in str(abs(v))) for v in x]


@NUMBERS.add()
def sort_up(x: list[int]) -> list[int]:
    """Sort the numbers, the smallest first."""
    return sorted(x)


@NUMBERS.add()
def sort_down(x: list[int]) -> list[int]:
    """Sort the numbers, the largest first."""
    return sorted(x, reverse=True)


@NUMBERS.add(k=range(2, 8))
def sort_by_remainder(x: list[int], k: int) -> list[int]:
    """Sort the numbers by their remainder when they are divided by {k}, the smallest first; remainders are never
    negative, and numbers with equal remainders keep their order.
    """
    return sorted(x, key=lambda v: v % k)


@NUMBERS.add()
def sort_by_size(x: list[int]) -> list[int]:
    """Sort the numbers by their absolute value, the smallest first; numbers with equal absolute values keep their
    order.
    """
    return sorted(x, key=abs)


@NUMBERS.add()
def backwards(x: list[int]) -> list[int]:
    """Reverse the order of the numbers."""
    return x[::-1]


@NUMBERS.add(k=range(2, 7))
def rotate(x: list[int], k: int) -> list[int]:
    """Move the first number to the end, {k} times in a row; the empty list stays empty."""
    if not x:
        return []
    k = k % len(x)
    return x[k:] + x[:k]


@NUMBERS.add()
def swap_pairs(x: list[int]) -> list[int]:
    """Swap the first number with the second, the third with the fourth, and so on; one that is left over stays."""
    result = []
    for i in range(0, len(x), 2):
        result += x[i : i + 2][::-1]
    return result


@NUMBERS.add()
def unique(x: list[int]) -> list[int]:
    """Keep only the first occurrence of every number."""
    return list(dict.fromkeys(x))


@NUMBERS.add()
def collapse(x: list[int]) -> list[int]:
    """Where equal numbers stand next to each other, keep only one of them."""
    return [v for i, v in enumerate(x) if i == 0 or v != x[i - 1]]


@NUMBERS.add(k=range(2, 5))
def drop_first(x: list[int], k: int) -> list[int]:
    """Remove the first {k} of the numbers, or all if there are not so many."""
    return x[k:]


@NUMBERS.add(k=range(2, 5))
def drop_last(x: list[int], k: int) -> list[int]:
    """Remove the last {k} of the numbers, or all if there are not so many."""
    return x[: max(len(x) - k, 0)]


@NUMBERS.add(k=range(2, 7))
def take_first(x: list[int], k: int) -> list[int]:
    """Keep only the first {k} of the numbers, or all if there are not so many."""
    return x[:k]


@NUMBERS.add(k=range(2, 7))
def take_last(x: list[int], k: int) -> list[int]:
    """Keep only the last {k} of the numbers, or all if there are not so many."""
    return x[-k:]


@NUMBERS.add()
def running_sum(x: list[int]) -> list[int]:
    """Replace every number by the sum of all numbers from the first up to and including it."""
    return [sum(x[: i + 1]) for i in range(len(x))]


@NUMBERS.add()
def running_largest(x: list[int]) -> list[int]:
    """Replace every number by the largest of all numbers from the first up to and including it."""
    return [max(x[: i + 1]) for i in range(len(x))]


@NUMBERS.add()
def differences(x: list[int]) -> list[int]:
    """Replace the list by the differences of neighbours, each number but the first minus the one before it; a
    list of fewer than two numbers becomes empty.
    """
    return [x[i] - x[i - 1] for i in range(1, len(x))]


@NUMBERS.add()
def neighbour_sums(x: list[int]) -> list[int]:
    """Replace the list by the sums of neighbours, each number but the first plus the one before it; a list of
    fewer than two numbers becomes empty.
    """
    return [x[i] + x[i - 1] for i in range(1, len(x))]


@NUMBERS.add(k=range(3))
def times_place(x: list[int], k: int) -> list[int]:
    """Multiply every number by its position in the list, where the first position counts as {k}."""
    return [v * (i + k) for i, v in enumerate(x)]


@NUMBERS.add(k=range(3))
def plus_place(x: list[int], k: int) -> list[int]:
    """Add its position in the list to every number, where the first position counts as {k}."""
    return [v + i + k for i, v in enumerate(x)]


@NUMBERS.add(k=range(2, 5))
def group_sums(x: list[int], k: int) -> list[int]:
    """Cut the list into groups of {k} numbers, of which the last may be smaller, and replace every group by
    its sum.
    """
    return [sum(x[i : i + k]) for i in range(0, len(x), k)]


@NUMBERS.add(k=range(2, 5))
def reverse_groups(x: list[int], k: int) -> list[int]:
    """Cut the list into groups of {k} numbers, of which the last may be smaller, and reverse the order within
    every group.
    """
    result = []
    for i in range(0, len(x), k):
        result += x[i : i + k][::-1]
    return result


@NUMBERS.add(k=range(-9, 31))
def put_between(x: list[int], k: int) -> list[int]:
    """Put the number {k} between every two neighbours."""
    result = []
    for i, v in enumerate(x):
        result += [v] if i == 0 else [k, v]
    return result


@NUMBERS.add()
def mirror(x: list[int]) -> list[int]:
    """Append all numbers in reverse order to the list."""
    return x + x[::-1]


@NUMBERS.add()
def occurrences(x: list[int]) -> list[int]:
    """Replace every number by how many times it occurs in the list."""
    return [x.count(v) for v in x]


@NUMBERS.add()
def ranks(x: list[int]) -> list[int]:
    """Replace every number by how many numbers of the list are less than it."""
    return [sum(1 for w in x if w < v) for v in x]


@NUMBERS.add(mark=["-", ",", "/", "+", ";", ":", "|", " "])
def joined(x: list[int], mark: str) -> str:
    """Write the numbers in decimal into one string, with {mark!r} between them; the empty list gives the empty
    string.
    """
    return mark.join(str(v) for v in x)


@NUMBERS.add()
def total(x: list[int]) -> int:
    """Take the sum of the numbers (0 for the empty list)."""
    return sum(x)


@NUMBERS.add(k=range(7, 60))
def total_remainder(x: list[int], k: int) -> int:
    """Take the remainder of the sum of the numbers when it is divided by {k}; it is never negative (0 for the
    empty list).
    """
    return sum(x) % k


@NUMBERS.add()
def alternating_sum(x: list[int]) -> int:
    """Take the first number minus the second plus the third minus the fourth, and so on (0 for the empty list)."""
    return sum(x[::2]) - sum(x[1::2])


@NUMBERS.add(k=range(-9, 1))
def largest(x: list[int], k: int) -> int:
    """Take the largest number ({k} for the empty list)."""
    return max(x, default=k)


@NUMBERS.add(k=range(10))
def smallest(x: list[int], k: int) -> int:
    """Take the smallest number ({k} for the empty list)."""
    return min(x, default=k)


@NUMBERS.add()
def spread(x: list[int]) -> int:
    """Take the largest number minus the smallest (0 for the empty list)."""
    return max(x) - min(x) if x else 0


@NUMBERS.add()
def sum_of_products(x: list[int]) -> int:
    """Multiply every number but the first by the one before it, and take the sum of these products (0 for a
    list of fewer than two numbers).
    """
    return sum(x[i] * x[i - 1] for i in range(1, len(x)))


@NUMBERS.add(k=range(10, 100))
def product_remainder(x: list[int], k: int) -> int:
    """Take the remainder of the product of the numbers when it is divided by {k}; it is never negative (1 for
    the empty list).
    """
    result = 1
    for v in x:
        result = result * v % k
    return result


@NUMBERS.add(k=range(2, 10))
def polynomial(x: list[int], k: int) -> int:
    """Start with 0 and go through the numbers in order: each time, multiply by {k} and add the number. Take
    what results in the end.
    """
    result = 0
    for v in x:
        result = result * k + v
    return result
