"""Numeric answers: exact comparison of plain numbers as rational numbers.

Invariant: total on every string and bounded in time (no exponents, at most ``MAX_DIGITS`` characters),
and no model text is ever evaluated. Expressions, units, sets and intervals are not understood here.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from typing import Any

__all__ = ["number_match", "read_number"]

MAX_DIGITS = 400
"""Longest text that is read as a number, in characters."""

_NUMBER = re.compile(
    r"""(?P<sign>[+-]?)\s?\$?
        (?:(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<decimals>\d*))?|\.(?P<only>\d+))
        (?:\s?/\s?(?P<below>\d+))?""",
    re.VERBOSE | re.ASCII,
)
_TEX_FRACTION = re.compile(r"([+-]?)\\[dt]?frac\{([+-]?\d+)\}\{(\d+)\}", re.ASCII)
_SCRIPTS = re.compile(r"[\u00b2\u00b3\u00b9\u2070-\u209c]|\d[\u00bc-\u00be\u2150-\u215f]")
_DASHES = str.maketrans("−–﹣-", "----")


def read_number(text: str) -> Fraction | None:
    """Read a plain number: integer, decimal, ``a/b``, ``\\frac{a}{b}``, with thousands commas.

    Args:
        text: Any text; surrounding ``$``, whitespace and a final full stop do not count.

    Returns:
        The exact value, or None if the text is not one plain number.

    Example:
        >>> read_number("1,250.50"), read_number(r"\\frac{3}{4}"), read_number("12 or 13")
        (Fraction(2501, 2), Fraction(3, 4), None)
    """
    if len(text) > MAX_DIGITS:
        return None
    if not text.isascii():
        if _SCRIPTS.search(text):
            return None  # compatibility forms would read 2² as 22 and 1½ as 11/2
        text = unicodedata.normalize("NFKC", text).translate(_DASHES)
    text = text.strip().strip("$").strip().removesuffix(".").replace("\u2044", "/")
    text = text.replace("{,}", ",").replace("\\!", "").replace("\\,", "")
    tex = _TEX_FRACTION.fullmatch(text)
    if tex is not None:
        below = int(tex[3])
        value = Fraction(int(tex[2]), below) if below else None
        return -value if value is not None and tex[1] == "-" else value
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    whole = (match["whole"] or "0").replace(",", "")
    decimals = match["decimals"] or match["only"] or ""
    below = int(match["below"] or 1)
    if not below:
        return None
    value = Fraction(int(whole + decimals), 10 ** len(decimals) * below)
    return -value if match["sign"] == "-" else value


def number_match(completion: Any, answer: Any, parser: Any = None) -> float:
    """1.0 if the parsed answer is a number equal to the gold number.

    Args:
        completion: The text of the last answer.
        answer: The gold number, as a number or text.
        parser: Finds the answer in the text; without one the whole text is the answer.

    Returns:
        1.0 or 0.0.

    Example:
        >>> number_match("0.50", "1/2"), number_match("fifty", "1/2")
        (1.0, 0.0)
    """
    found = completion if parser is None else parser.parse_answer(completion)
    if found is None:
        return 0.0
    value = read_number(str(found))
    return float(value is not None and value == read_number(str(answer)))
