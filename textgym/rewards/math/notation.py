r"""Spelling: from what people and models type to one ASCII TeX spelling.

Invariant: only the spelling changes, never the value: 2² becomes ``2^{2}`` and not 22, 1½ becomes
``1\frac{1}{2}`` and not 11/2. Total on every string and linear in its length. Nothing is understood here.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["strip_decoration", "to_tex"]

_SUPERSCRIPTS = re.compile("[\u00b2\u00b3\u00b9\u2070\u2071\u2074-\u207f]+")
_SUBSCRIPTS = re.compile("[\u2080-\u208e\u2090-\u209c]+")
_DROPPED = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‒": "-", "‐": "-", "‑": "-", "﹣": "-",
    "×": r"\times ", "·": r"\cdot ", "∙": r"\cdot ", "⋅": r"\cdot ", "•": r"\cdot ", "∗": "*", "÷": "/",
    "⁄": "/", "∕": "/", "√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "∞": r"\infty ",
    "≤": r"\le ", "≥": r"\ge ", "≦": r"\le ", "≧": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ",
    "≈": r"\approx ", "≃": r"\approx ", "±": r"\pm ", "∓": r"\mp ", "∪": r"\cup ", "∩": r"\cap ",
    "∈": r"\in ", "∅": r"\emptyset ", "⌀": r"\emptyset ", "∖": r"\setminus ", "ℝ": r"\mathbb{R}",
    "∣": r"\mid ", "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ", "〉": r"\rangle ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "′": "'", "’": "'", "‘": "'",
    "“": '"', "”": '"', "°": r"\degree ", "º": r"\degree ", "。": ".", "∶": ":", "∫": r"\int ", "∑": r"\sum ",
    "∏": r"\prod ", "→": r"\to ", "∠": r"\angle ", "€": r"\euro ", "£": r"\pounds ", "¥": r"\yen ",
}  # fmt: skip
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau "
    "upsilon phi chi psi omega"
)
_SYMBOLS |= {chr(0x3B1 + i): rf"\{name} " for i, name in enumerate(_GREEK.split())}
_SYMBOLS |= {chr(0x391 + i): rf"\{name.title()} " for i, name in enumerate(_GREEK.split()) if i != 17}
_VULGAR = {
    char: r"\frac{{{}}}{{{}}}".format(*unicodedata.normalize("NFKC", char).split("\u2044"))
    for char in map(chr, [0xBC, 0xBD, 0xBE, *range(0x2150, 0x215F), 0x2189])
}
_BEFORE = str.maketrans({**_VULGAR, "ℝ": _SYMBOLS["ℝ"], "º": _SYMBOLS["º"]})  # NFKC would read R and o
_AFTER = str.maketrans(_SYMBOLS)

# Between digits a thin space, a braced comma or a tie is a thousands separator where three digits follow.
_THOUSANDS = re.compile(r"(?<=\d)(?:\s?\{\s?,\s?\}\s?|,\\!\s?|\\[,!;: ]\s?|~)(?=\d{3}(?!\d))")
_BRACED_COMMA = re.compile(r"(?<=\d)\{,\}(?=\d)")
_SPACED_THOUSANDS = re.compile(r"(?<![\d.,\w])\d{1,3}(?: \d{3})+(?![\d,]| *[/.]\d)")
_DEGREE = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))")
_TIMES = re.compile(r"(?<=\d)\s*[xX]\s*(?=10(?!\d))")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z])")
_MARKS = re.compile(r"^(?:\*\*|__|`+|\"|')(.+?)(?:\*\*|__|`+|\"|')([.,;]?)$", re.DOTALL)


def to_tex(text: str) -> str:
    r"""One spelling: ASCII TeX for the symbols that have one, no thousands separators but commas.

    Args:
        text: An answer, at most a few thousand characters.

    Returns:
        The same answer, respelled.

    Example:
        >>> to_tex("1½"), to_tex("x² − 1"), to_tex("１２"), to_tex("1{,}000")
        ('1\\frac{1}{2}', 'x^{2} - 1', '12', '1000')
    """
    if not text.isascii():
        text = _from_unicode(text)
    text = _CONTROLS.sub(" ", text)
    if "\\" in text or "~" in text:
        if "\\\\" in text and "\\begin" not in text:
            text = _DOUBLED.sub(r"\\", text)
        text = _THOUSANDS.sub("", text)
        text = _DEGREE.sub(r"\\degree ", text)
    if "{,}" in text:
        text = _BRACED_COMMA.sub(".", _THOUSANDS.sub("", text))
    if " " in text:
        text = _SPACED_THOUSANDS.sub(lambda match: match[0].replace(" ", ""), text)
    if "x" in text or "X" in text:
        text = _TIMES.sub(r"\\times ", text)
    return text


def strip_decoration(text: str) -> str:
    """The answer without surrounding whitespace, Markdown emphasis, quotes and math delimiters.

    Example:
        >>> strip_decoration(" **$12$**. "), strip_decoration("$12"), strip_decoration(r"\\(x\\)")
        ('12', '$12', 'x')
    """
    text = text.strip()
    for _ in range(3):
        before = text
        match = _MARKS.match(text) if text[:1] in "*_`\"'" else None
        if match:
            text = match[1].strip()
        for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
            body = text.removesuffix(".").rstrip()
            if len(body) >= 2 * len(opening) and body.startswith(opening) and body.endswith(closing):
                inner = body[len(opening) : -len(closing)]
                if opening not in inner:
                    text = inner.strip()
        if text == before:
            break
    return text


def _from_unicode(text: str) -> str:
    text = _SUPERSCRIPTS.sub(lambda match: "^{" + unicodedata.normalize("NFKC", match[0]) + "}", text)
    text = _SUBSCRIPTS.sub(lambda match: "_{" + unicodedata.normalize("NFKC", match[0]) + "}", text)
    text = unicodedata.normalize("NFKC", text.translate(_BEFORE))
    return _DROPPED.sub("", text).translate(_AFTER)
