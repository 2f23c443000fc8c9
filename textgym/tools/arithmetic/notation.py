"""From the signs that a model writes to the signs of the calculator.

Invariant: the meaning of a text never changes: superscripts become powers before Unicode's compatibility
forms would read 2² as 22, and a mixed number such as 1½ is refused rather than read as 11/2.
"""

from __future__ import annotations

import re
import unicodedata

from textgym.tools.arithmetic.numbers import CalculationError

__all__ = ["plain"]

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("×·⋅∗✕✖•", "*"),
        **dict.fromkeys("÷∕⁄", "/"),
        **dict.fromkeys("−–—﹣‐‑‒", "-"),
        **dict.fromkeys("“”«»", '"'),
        **dict.fromkeys("\u00a0\u2009\u202f\u200b\u2061\u2062", " "),
    }
)
_SUPERSCRIPT = re.compile(r"[⁺⁻]?[⁰¹²³⁴-⁹]+")
_FRACTION = re.compile(r"[¼-¾⅐-⅞↉]")
_MIXED = re.compile(r"[\w.][¼-¾⅐-⅞↉]|[¼-¾⅐-⅞↉][\w.]")


def plain(text: str) -> str:
    """The text with ASCII digits and operators.

    Raises:
        CalculationError: It holds a mixed number.

    Example:
        >>> plain("３² × ½ − √４")
        '3^2 * (1/2) - √4'
    """
    mixed = _MIXED.search(text)
    if mixed is not None:
        raise CalculationError(f"{mixed[0]!r} is ambiguous: write a mixed number like (1 + 1/2)")
    text = _SUPERSCRIPT.sub(lambda found: "^" + found[0], text)
    text = _FRACTION.sub(lambda found: f"({unicodedata.normalize('NFKC', found[0])})", text)
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(sign, sign)) for sign in text)
