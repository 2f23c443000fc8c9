"""Cutting an expression into numbers, names and signs.

Invariant: linear time; every character ends up in one token or raises ``CalculationError``. A comma belongs to
a number where it can only group thousands: nowhere in the arguments of a function that takes several.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TypeAlias

from textgym.tools.arithmetic.functions import FUNCTIONS
from textgym.tools.arithmetic.numbers import CalculationError, Number, bounded, require_digits

__all__ = ["END", "Token", "number_of", "tokens_of"]

Token: TypeAlias = tuple[str, str]
"""Kind and text: ``("number", "1.5")``, ``("name", "sqrt")``, or a sign twice: ``("+", "+")``."""
END: Token = ("end", "")

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
        |(?P<name>[a-z_πτ][a-z_0-9]*)
        |(?P<sign>\*\*|//|[-+*/^%!()√°,=])
        |(?P<other>.)
    )""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)
_THOUSANDS = re.compile(r"[ \t\r\n]*([0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?)(?![0-9,.])")
_HINTS = {
    "|": "write abs(x) for an absolute value",
    "[": "use round parentheses",
    "]": "use round parentheses",
    "{": "use round parentheses",
    "}": "use round parentheses",
    "\\": "write the expression without LaTeX, like sqrt(2)/3",
    "<": "comparisons are not possible",
    ">": "comparisons are not possible",
    "$": "leave units and currencies out",
    "€": "leave units and currencies out",
    "£": "leave units and currencies out",
}
_MAX_EXPONENT_LENGTH = 8


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text.

    Raises:
        CalculationError: A character means nothing.

    Example:
        >>> tokens_of("1,200 + max(1,200)")[:3]
        [('number', '1200'), ('+', '+'), ('name', 'max')]
    """
    tokens: list[Token] = []
    splits: list[bool] = [False]
    """Whether a comma separates arguments, for each open parenthesis."""
    position, end = 0, len(text.rstrip())
    while position < end:
        grouped = None if splits[-1] or "," not in text else _THOUSANDS.match(text, position)
        if grouped is not None:
            tokens.append(("number", grouped[1].replace(",", "")))
            position = grouped.end()
            continue
        found = _TOKEN.match(text, position)
        if found is None:
            break
        position = found.end()
        kind, token = str(found.lastgroup), found[found.lastgroup or 0]
        if kind == "other":
            hint = _HINTS.get(token)
            raise CalculationError(f"{token!r} is not understood" + (f": {hint}" if hint else ""))
        if kind == "number":
            tokens.append((kind, token))
        elif kind == "name":
            tokens.append((kind, token.lower()))
        else:
            if token == "(":
                function = FUNCTIONS.get(tokens[-1][1]) if tokens and tokens[-1][0] == "name" else None
                splits.append(function is not None and function.most != 1)
            elif token == ")" and len(splits) > 1:
                splits.pop()
            sign = "^" if token == "**" else token
            tokens.append((sign, sign))
    return tokens


def number_of(text: str) -> Number:
    """The value of a number token.

    Raises:
        CalculationError: It is too long.
    """
    if text.isdigit():
        require_digits(len(text))
        return int(text)
    mantissa, _, exponent = text.lower().partition("e")
    above, _, decimals = mantissa.partition(".")
    if len(exponent.lstrip("+-0")) > _MAX_EXPONENT_LENGTH:
        require_digits(10.0**_MAX_EXPONENT_LENGTH)
    shift = int(exponent or 0)
    require_digits(len(mantissa) + abs(shift))
    digits = int((above + decimals) or 0)
    scale = shift - len(decimals)
    return bounded(digits * 10**scale if scale >= 0 else Fraction(digits, 10**-scale))
