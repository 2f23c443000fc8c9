r"""Tokens: one spelling of an answer cut into numbers, names, words and signs.

Invariant: one pass with one regular expression, linear in the text, and total: what has no meaning becomes a
``bad`` token, which no grammar accepts. A token is ``(kind, text, spaced)``; the kind of a sign is its one
canonical spelling (``\times``, ``\cdot`` and ``*`` are all ``*``). Nothing is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from textgym.rewards.math.units import UNITS

__all__ = ["CLOSERS", "FUNCTIONS", "OPENERS", "Token", "is_product", "lex", "split"]

Token: TypeAlias = tuple[str, str, bool]
"""(kind, text, whether whitespace or the start of the text is before it)."""

OPENERS = frozenset({"(", "[", "{", r"\{", "<<", "begin", "|_", "|^"})
"""Kinds that open a group."""
CLOSERS = frozenset({")", "]", "}", r"\}", ">>", "end", "_|", "^|"})
"""Kinds that close one. Openers and closers need not match: ``[2, 5)`` is one group."""

_NAMED = """
sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan asin acos atan ln log lg exp sqrt cbrt abs floor ceil
"""
FUNCTIONS = frozenset(_NAMED.split())
"""Names that are applied to what follows them."""

_ALIASES = {
    "*": r"\cdot \times \ast \bullet **", "/": r"\div", "<=": r"\le \leq \leqslant =< \leqq",
    ">=": r"\ge \geq \geqslant => \geqq", "<": r"\lt", ">": r"\gt", "!=": r"\ne \neq", "=": "== := \\equiv",
    "approx": r"\approx \sim \simeq \cong ~", "+-": r"\pm +/- +-", "-+": r"\mp", "cup": r"\cup \bigcup union",
    "setminus": r"\setminus \backslash", "in": r"\in in", "|": r"\vert \lvert \rvert \mid",
    "<<": r"\langle", ">>": r"\rangle", "|_": r"\lfloor", "_|": r"\rfloor", "|^": r"\lceil", "^|": r"\rceil",
    "(": r"\lparen", ")": r"\rparen", "[": r"\lbrack", "]": r"\rbrack", r"\{": r"\lbrace", r"\}": r"\rbrace",
    "degree": r"\degree \circ", "%": r"\% percent percents percentage pct", "$": r"\$",
    "infinity": r"\infty infinity inf oo",
    "empty": r"\emptyset \varnothing", "or": r"\lor \vee or", "and": r"\land \wedge and",
    "frac": r"\frac \dfrac \tfrac \cfrac", "binom": r"\binom \dbinom \tbinom", "choose": r"\choose",
    "root": r"\sqrt", "overline": r"\overline \bar", "newline": "\\\\ \\cr",
    "accent": r"\vec \hat \tilde \boldsymbol \bm \mathcal", "!": "", "^": "", "_": "", "-": "", "+": "",
    "&": "", ",": "", ";": "", ":": "", "'": "", "}": "", "{": "", ".": "", "->": r"\to \rightarrow",
    "dots": r"\ldots \dots \cdots ...",
}  # fmt: skip
_KINDS = {spelling: kind for kind, all_ in _ALIASES.items() for spelling in (kind, *all_.split())}
_KINDS["**"] = "^"
_CURRENCY = {"$": "dollar", r"\euro": "euro", r"\pounds": "pound sterling", r"\yen": "yen"}
_LAYOUT = r"""
\left \right \big \Big \bigg \Bigg \bigl \bigr \Bigl \Bigr \biggl \biggr \middle \displaystyle \textstyle
\limits \nolimits \quad \qquad \thinspace \enspace \hfill \boxed \fbox \rm \bf \it \, \; \: \! \/ \( \) \[ \]
"""
_SKIPPED = frozenset({*_LAYOUT.split(), "\\ ", "\\\n", "\\\t"})
_GREEK = """
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi omicron pi rho sigma
tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell imath
"""
_LETTERS = {rf"\{name}": name for name in _GREEK.split()}

_TOKEN = re.compile(
    r"""(?P<space>[\s$~]+ | \\(?:left|right)\s*\. )
    | (?P<number> \d+\.?\d*(?:[eE][+-]?\d+(?![\w]))? | \.\d+(?:[eE][+-]?\d+(?![\w]))? )
    | (?P<begin> \\begin\s*\{([a-zA-Z]+)\*?\} ) | (?P<end> \\end\s*\{[a-zA-Z]+\*?\} )
    | (?P<reals> \\mathbb\s*\{?R\}? )
    | (?P<text> \\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|operatorname|mbox|hbox)
        \*?\s*\{(?:[^{}]|\{[^{}]*\})*\} )
    | (?P<command> \\(?:[A-Za-z]+|.) )
    | (?P<word> [^\W\d_]+ )
    | (?P<sign> \+/- | \+- | \.\.\. | <= | >= | != | == | := | \*\* | -> | => | =< | [-+*/^_=<>(){}\[\]|,;:!%&'.] )
    | (?P<bad> . )""",
    re.VERBOSE | re.DOTALL,
)
_OPERANDS = CLOSERS | {"number", "name"}
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def lex(text: str, *, upright: bool = False) -> list[Token]:
    r"""Cut a text into tokens.

    Args:
        text: A result of ``to_tex``.
        upright: The text was found in ``\text{…}``: its words are words and no products of variables.

    Returns:
        The tokens, without whitespace and layout commands.

    Example:
        >>> lex(r"2\cdot x")
        [('number', '2', True), ('*', '', False), ('name', 'x', True)]
    """
    tokens: list[Token] = []
    spaced = True
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "bad"
        value = match[0]
        if kind == "space" or value in _SKIPPED:
            spaced = True
        elif kind == "number":
            tokens.append((kind, value, spaced))
            spaced = False
        elif kind == "sign":
            if value == "+-" and tokens and tokens[-1][0] in _OPERANDS:  # 2+-3 is 2 + (-3), and +-3 is ±3
                tokens.append(("+", "", spaced))
                value = "-"
            tokens.append((_KINDS.get(value, value), "", spaced))
            spaced = False
        else:
            tokens += _token(kind, value, match, spaced, upright)
            spaced = False
    return tokens


def _token(kind: str, value: str, match: re.Match[str], spaced: bool, upright: bool) -> Iterator[Token]:
    if kind == "word":
        yield _word(value, spaced, upright)
    elif kind == "command":
        yield _command(value, spaced)
    elif kind == "text":
        body = value[value.index("{") + 1 : -1].strip()
        inner = lex(body, upright=True)
        if inner:
            yield (inner[0][0], inner[0][1], spaced)
            yield from inner[1:]
    elif kind == "begin":
        yield ("begin", value[value.index("{") + 1 : -1], spaced)
    else:
        yield (kind, "", spaced) if kind != "bad" else (kind, value, spaced)


def _word(value: str, spaced: bool, upright: bool) -> Token:
    lower = value.lower()
    if lower in FUNCTIONS:
        return ("function", lower, spaced)
    if lower in _KINDS and (len(value) > 2 or not upright or lower in ("or", "in")) and lower != "in":
        return (_KINDS[lower], "", spaced)
    if value == "pi":
        return ("name", value, spaced)
    if len(value) == 1:
        return ("text" if upright and value in UNITS else "name", value, spaced)
    if upright or value in UNITS:
        return ("text" if upright else "word", value, spaced)
    return ("in", "", spaced) if value == "in" else ("word", value, spaced)


def _command(value: str, spaced: bool) -> Token:
    if value in _KINDS:
        kind = _KINDS[value]
        return (kind, _CURRENCY["$"] if kind == "$" else "", spaced)
    if value in _LETTERS:
        return ("name", _LETTERS[value], spaced)
    if value[1:] in FUNCTIONS:
        return ("function", value[1:], spaced)
    if value in _CURRENCY:
        return ("$", _CURRENCY[value], spaced)
    return ("bad", value, spaced)


def is_product(word: str) -> bool:
    """Whether a run of letters is read as a product of variables: two letters, or a run of the alphabet.

    Example:
        >>> is_product("ab"), is_product("xyz"), is_product("cat")
        (True, True, False)
    """
    return word.isascii() and (len(word) == 2 or (len(word) <= 4 and word.lower() in _ALPHABET))


def split(tokens: list[Token], kinds: frozenset[str]) -> tuple[list[list[Token]], list[str]]:
    """Cut tokens at the signs that are outside all groups.

    Args:
        tokens: Any tokens.
        kinds: Where to cut.

    Returns:
        The parts, one more than the signs between them, and the kinds of these signs.
    """
    parts: list[list[Token]] = [[]]
    signs: list[str] = []
    depth = 0
    for token in tokens:
        kind = token[0]
        if depth == 0 and kind in kinds:
            signs.append(kind)
            parts.append([])
            continue
        if kind in OPENERS:
            depth += 1
        elif kind in CLOSERS:
            depth -= 1
        parts[-1].append(token)
    return parts, signs
