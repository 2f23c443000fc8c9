"""Steps on strings, and the steps that lead from single numbers to lists.

Invariant: that of ``step.py``. Inputs are ASCII; vowels are a, e, i, o, u, small or capital; words are what spaces
separate.
"""

# ruff: noqa: D205 (the docstring of a step is one sentence of the task, however long it is)
from __future__ import annotations

from textgym.tasks.code.step import Steps

__all__ = ["TEXTS"]

TEXTS = Steps()
"""Name -> step."""

_LETTERS = "abcdefghijklmnoprstuwy"


@TEXTS.add()
def text_backwards(x: str) -> str:
    """Reverse the string."""
    return x[::-1]


@TEXTS.add()
def upper(x: str) -> str:
    """Make all letters capital."""
    return x.upper()


@TEXTS.add()
def lower(x: str) -> str:
    """Make all letters small."""
    return x.lower()


@TEXTS.add()
def swap_case(x: str) -> str:
    """Make the small letters capital and the capital letters small."""
    return x.swapcase()


@TEXTS.add()
def drop_vowels(x: str) -> str:
    """Remove all vowels (a, e, i, o, u, small or capital)."""
    return "".join(c for c in x if c not in "aeiouAEIOU")


@TEXTS.add()
def letters_only(x: str) -> str:
    """Keep only the letters; spaces, digits and all other characters are removed."""
    return "".join(c for c in x if c.isalpha())


@TEXTS.add()
def drop_digits(x: str) -> str:
    """Remove all digits."""
    return "".join(c for c in x if not c.isdigit())


@TEXTS.add(c=_LETTERS)
def drop_letter(x: str, c: str) -> str:
    """Remove every {c!r}, but not the capital one."""
    return x.replace(c, "")


@TEXTS.add(k=range(2, 26))
def shift(x: str, k: int) -> str:
    """Move every letter {k} places forwards in the alphabet, from z on to a; capital letters stay capital,
    and other characters stay as they are.
    """
    result = ""
    for c in x:
        first = ord("a") if c.islower() else ord("A")
        result += chr((ord(c) - first + k) % 26 + first) if c.isalpha() else c
    return result


@TEXTS.add(k=range(2, 4))
def repeat_characters(x: str, k: int) -> str:
    """Write every character {k} times in a row."""
    return "".join(c * k for c in x)


@TEXTS.add(k=range(2, 4))
def repeat_vowels(x: str, k: int) -> str:
    """Write every vowel (a, e, i, o, u, small or capital) {k} times in a row."""
    return "".join(c * k if c in "aeiouAEIOU" else c for c in x)


@TEXTS.add()
def collapse_text(x: str) -> str:
    """Where equal characters stand next to each other, keep only one of them."""
    return "".join(c for i, c in enumerate(x) if i == 0 or c != x[i - 1])


@TEXTS.add()
def run_lengths(x: str) -> str:
    """Replace every longest run of equal characters by the character and the length of the run in decimal, so
    that 'aab' gives 'a2b1'.
    """
    result, i = "", 0
    while i < len(x):
        end = i
        while end < len(x) and x[end] == x[i]:
            end += 1
        result += x[i] + str(end - i)
        i = end
    return result


@TEXTS.add()
def sort_characters(x: str) -> str:
    """Sort the characters by their character codes, the smallest first."""
    return "".join(sorted(x))


@TEXTS.add()
def unique_characters(x: str) -> str:
    """Keep only the first occurrence of every character; small and capital letters are different."""
    return "".join(dict.fromkeys(x))


@TEXTS.add(k=range(2, 5))
def keep_characters(x: str, k: int) -> str:
    """Keep only the characters at positions that are divisible by {k}; the first position is 0."""
    return x[::k]


@TEXTS.add(k=range(2, 5))
def drop_characters(x: str, k: int) -> str:
    """Remove the characters at positions that are divisible by {k}; the first position is 0."""
    return "".join(c for i, c in enumerate(x) if i % k != 0)


@TEXTS.add(k=range(2, 7))
def drop_start(x: str, k: int) -> str:
    """Remove the first {k} of the characters, or all if there are not so many."""
    return x[k:]


@TEXTS.add(k=range(5, 16))
def take_start(x: str, k: int) -> str:
    """Keep only the first {k} of the characters, or all if there are not so many."""
    return x[:k]


@TEXTS.add(k=range(2, 9))
def rotate_text(x: str, k: int) -> str:
    """Move the first character to the end, {k} times in a row; the empty string stays empty."""
    if not x:
        return ""
    k = k % len(x)
    return x[k:] + x[:k]


@TEXTS.add(mark="-_*#.+")
def mark_spaces(x: str, mark: str) -> str:
    """Replace every space by {mark!r}."""
    return x.replace(" ", mark)


@TEXTS.add(mark="-_*#.+", k=range(2, 5))
def mark_groups(x: str, mark: str, k: int) -> str:
    """Cut the string into groups of {k} characters, of which the last may be shorter, and put {mark!r} between the
    groups.
    """
    return mark.join(x[i : i + k] for i in range(0, len(x), k))


@TEXTS.add()
def append_backwards(x: str) -> str:
    """Append the reversed string to the string."""
    return x + x[::-1]


@TEXTS.add()
def split_words(x: str) -> list[str]:
    """Make a list of the words, which are the parts without spaces; a string without any gives the empty list."""
    return x.split()


@TEXTS.add(k=range(2, 7))
def split_groups(x: str, k: int) -> list[str]:
    """Cut the string into a list of groups of {k} characters, of which the last may be shorter; the empty
    string gives the empty list.
    """
    return [x[i : i + k] for i in range(0, len(x), k)]


@TEXTS.add()
def letter_places(x: str) -> list[int]:
    """Make a list with the place of every letter in the alphabet, in order (a and A are 1); other characters
    are left out.
    """
    return [ord(c.lower()) - 96 for c in x if c.isalpha()]


@TEXTS.add(k=range(2))
def vowel_positions(x: str, k: int) -> list[int]:
    """Make a list of the positions at which a vowel stands (a, e, i, o, u, small or capital), where the first
    position counts as {k}.
    """
    return [i + k for i, c in enumerate(x) if c in "aeiouAEIOU"]


@TEXTS.add()
def digits_of(x: str) -> list[int]:
    """Make a list of the digits in the string as numbers, in order; other characters are left out."""
    return [int(c) for c in x if c.isdigit()]


@TEXTS.add()
def text_length(x: str) -> int:
    """Take the number of characters."""
    return len(x)


@TEXTS.add(k=range(2, 6))
def weighted_vowels(x: str, k: int) -> int:
    """Count {k} for every vowel (a, e, i, o, u, small or capital) and 1 for every other letter, and take the
    sum.
    """
    return sum(k if c in "aeiouAEIOU" else 1 for c in x if c.isalpha())


@TEXTS.add()
def distinct_characters(x: str) -> int:
    """Take the number of different characters; small and capital letters are different."""
    return len(set(x))


@TEXTS.add(k=range(50, 150))
def code_sum(x: str, k: int) -> int:
    """Take the remainder of the sum of all character codes when it is divided by {k}."""
    return sum(ord(c) for c in x) % k


@TEXTS.add()
def digits(x: int) -> list[int]:
    """Make a list of the decimal digits of the number, the first digit first."""
    return [int(d) for d in str(x)]


@TEXTS.add(k=range(2, 10))
def digits_in_base(x: int, k: int) -> list[int]:
    """Make a list of the digits of the number in base {k}, the last digit first; 0 gives the empty list."""
    result = []
    while x:
        result.append(x % k)
        x //= k
    return result


@TEXTS.add(k=range(2, 12))
def halvings(x: int, k: int) -> list[int]:
    """Make a list that begins with the number; as long as its last member is greater than 0, append that
    divided by {k} and rounded down.
    """
    result = [x]
    while result[-1] > 0:
        result.append(result[-1] // k)
    return result


@TEXTS.add(k=range(3, 30))
def multiples(x: int, k: int) -> list[int]:
    """Make a list of the remainders of 1, 2, 3, ... up to {k} times the number when they are divided by 100."""
    return [x * i % 100 for i in range(1, k + 1)]
