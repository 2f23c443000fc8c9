r"""Expressions: a parser from tokens to the trees of ``tree.py``.

Invariant: bounded. At most ``MAX_DEPTH`` groups within each other, one step a token, and nothing is computed
beyond the literals. Tokens that are no expression raise ``Unreadable``; nothing is evaluated or guessed.
"""

from __future__ import annotations

from fractions import Fraction

from textgym.rewards.math.tokens import Token, is_product
from textgym.rewards.math.tree import Expression, literal, root, signed, times
from textgym.rewards.math.units import UNITS

__all__ = ["MAX_DEPTH", "ExpressionParser", "Unreadable"]

MAX_DEPTH = 40
"""Groups, powers and functions within each other."""
_END: Token = ("end of text", "", False)
_PI = ("name", "pi")
_CLOSED_BY = {"(": ")", "[": "]", "{": "}", "|_": "_|", "|^": "^|"}
_STARTS = frozenset(
    {"name", "frac", "root", "binom", "function", "(", "{", "|_", "|^", "infinity", "accent", "overline"}
)
_INVERSES = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
_RENAMED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "log"}
_APPLIED = frozenset({"f", "g", "h"})


class Unreadable(Exception):
    """The tokens are no expression."""


class ExpressionParser:
    """Reads an expression from the front of a list of tokens.

    Args:
        tokens: The tokens; ``position`` tells how many were read.
        nested: Percent and degree signs belong to the expression (in groups they always do), rather than
            ending it as units.

    Raises:
        Unreadable: From ``sum``, if the tokens do not begin with an expression.
    """

    def __init__(self, tokens: list[Token], *, nested: bool = False) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0
        self.nested = int(nested)

    def _peek(self, ahead: int = 0) -> Token:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else _END

    def _take(self, kind: str) -> None:
        if self._peek()[0] != kind:
            raise Unreadable
        self.position += 1

    def sum(self) -> Expression:
        """Terms with + and - between them."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable
        terms = [self._term()]
        while (kind := self._peek()[0]) in ("+", "-", "+-", "-+"):
            self.position += 1
            terms.append(signed(kind, self._term()))
        self.depth -= 1
        return terms[0] if len(terms) == 1 else ("sum", *terms)

    def _term(self) -> Expression:
        kind = self._peek()[0]
        if kind in ("+", "-", "+-", "-+"):
            self.position += 1
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise Unreadable
            value = signed(kind, self._term())
            self.depth -= 1
            return value
        value = self._power()
        while True:
            kind = self._peek()[0]
            if kind == "*":
                self.position += 1
                value = times(value, self._factor())
            elif kind == "/":
                self.position += 1
                value = ("quotient", value, self._factor())
            elif self._continues():
                value = times(value, self._power())
            else:
                return value

    def _factor(self) -> Expression:
        """A factor after an explicit sign, which may have a minus of its own."""
        kind = self._peek()[0]
        if kind in ("+", "-"):
            self.position += 1
            return signed(kind, self._power())
        return self._power()

    def _continues(self) -> bool:
        """Whether a factor follows without a sign between."""
        kind, text, _ = self._peek()
        if kind in _STARTS or (kind == "number" and self.tokens[self.position - 1][0] == "!"):
            return True
        if kind == "word":
            return is_product(text) and (self.nested > 0 or text not in UNITS)
        return kind == "|" and not self.bars

    def _power(self) -> Expression:
        value = self._postfix(self._atom())
        if self._peek()[0] == "^":
            self.position += 1
            value = self._postfix(("power", value, self._exponent()))
        return value

    def _postfix(self, value: Expression) -> Expression:
        while True:
            kind = self._peek()[0]
            if kind == "!":
                value = ("call", "factorial", value)
            elif kind == "%" and self.nested:
                value = ("quotient", value, 100)
            elif kind == "degree" and self.nested:
                value = ("quotient", times(value, _PI), 180)
            else:
                return value
            self.position += 1

    def _exponent(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable
        kind, text, _ = self._peek()
        if kind in ("+", "-"):
            self.position += 1
            value = signed(kind, self._exponent())
        elif kind == "number":
            self.position += 1
            value = literal(text)
            if self._peek()[0] == "^":
                self.position += 1
                value = ("power", value, self._exponent())
        else:
            value = self._atom() if kind == "{" else self._power()
        self.depth -= 1
        return value

    def _atom(self) -> Expression:
        kind, text, _ = self._peek()
        self.position += 1
        if kind == "number":
            return self._number(text)
        if kind == "name":
            return self._name(text)
        if kind in _CLOSED_BY:
            inside = self._group(_CLOSED_BY[kind])
            return inside if kind in "([{" else ("call", "floor" if kind == "|_" else "ceil", inside)
        if kind == "|" and not self.bars:
            self.bars += 1
            inside = self.sum()
            self._take("|")
            self.bars -= 1
            return ("call", "abs", inside)
        if kind == "word" and is_product(text):
            return ("product", *(("name", letter) for letter in text[:-1]), self._name(text[-1]))
        return self._command(kind, text)

    def _command(self, kind: str, text: str) -> Expression:
        if kind == "frac":
            return ("quotient", self._argument(), self._argument())
        if kind == "function":
            return self._function(text)
        if kind == "root":
            index = 2
            if self._peek()[0] == "[":
                self.position += 1
                index = self._group("]")
            return root(self._argument(whole=True), index)
        if kind == "binom":
            return ("call", "binomial", self._argument(), self._argument())
        if kind in ("accent", "overline"):
            inside = self._argument()
            return inside if isinstance(inside, tuple) and inside[0] == "name" else ("call", kind, inside)
        if kind == "infinity":
            return ("infinity",)
        raise Unreadable

    def _group(self, closer: str) -> Expression:
        self.nested += 1
        bars, self.bars = self.bars, 0
        inside = self.sum()
        if self._peek()[0] == "choose":
            self.position += 1
            inside = ("call", "binomial", inside, self.sum())
        self._take(closer)
        self.bars = bars
        self.nested -= 1
        return inside

    def _argument(self, *, whole: bool = False) -> Expression:
        r"""What a command applies to: a group, or the next digit or name (``\frac12``)."""
        kind, text, spaced = self._peek()
        if kind == "number" and not whole and len(text) > 1:
            if not text.isdigit():
                raise Unreadable
            self.tokens = self.tokens.copy()
            self.tokens[self.position] = (kind, text[1:], spaced)
            return int(text[0])
        if kind == "number":
            self.position += 1
            return literal(text)
        if kind in ("{", "(", "name", "root", "frac", "infinity", "function"):
            return self._atom()
        raise Unreadable

    def _number(self, text: str) -> Expression:
        value = literal(text)
        kind, following, spaced = self._peek()
        if kind == "overline" and "." in text:
            return self._repeating(text)
        if not isinstance(value, int):
            return value
        if kind == "number" and spaced and self._peek(1)[0] == "/" and self._peek(2)[0] == "number":
            below = self._peek(2)[1]
            if following.isdigit() and below.isdigit() and int(below):
                self.position += 3
                return ("sum", value, Fraction(int(following), int(below)))
            raise Unreadable
        if kind == "frac" and self._plain_fraction():
            self.position += 1
            above, below = self._argument(), self._argument()
            return ("sum", value, Fraction(above, below)) if below else ("quotient", above, 0)
        return value

    def _plain_fraction(self) -> bool:
        r"""Whether the next tokens are ``\frac`` and two whole numbers: after a whole number, a mixed one."""
        ahead = [self._peek(i) for i in range(1, 7)]
        kinds = [kind for kind, _, _ in ahead]
        if kinds == ["{", "number", "}", "{", "number", "}"]:
            return ahead[1][1].isdigit() and ahead[4][1].isdigit()
        return (
            kinds[0] == "number" and ahead[0][1].isdigit() and (len(ahead[0][1]) == 2 or kinds[1] == "number")
        )

    def _repeating(self, text: str) -> Expression:
        r"""``0.1\overline{6}``, exactly."""
        self.position += 1
        start = self.position
        self._argument(whole=True)
        digits = "".join(token[1] for token in self.tokens[start : self.position])
        if not digits.isdigit():
            raise Unreadable
        scale = 10 ** len(text.partition(".")[2])
        head = Fraction(text.rstrip(".") if text != "." else 0)
        return head + Fraction(int(digits), scale * (10 ** len(digits) - 1))

    def _name(self, text: str) -> Expression:
        if self._peek()[0] == "_":
            self.position += 1
            start = self.position
            self._argument(whole=True)
            text += "_" + "".join(token[1] or token[0] for token in self.tokens[start : self.position]).strip(
                "{}"
            )
        while self._peek()[0] == "'":
            self.position += 1
            text += "'"
        if self._peek()[0] == "(" and not self._peek()[2] and text.rstrip("'") in _APPLIED:
            self.position += 1
            return ("call", text, *self._arguments())
        return ("name", text)

    def _arguments(self) -> list[Expression]:
        self.nested += 1
        found = [self.sum()]
        while self._peek()[0] == ",":
            self.position += 1
            found.append(self.sum())
        self._take(")")
        self.nested -= 1
        return found

    def _function(self, name: str) -> Expression:
        name = _RENAMED.get(name, name)
        base = power = None
        while (kind := self._peek()[0]) in ("_", "^"):
            self.position += 1
            if kind == "_":
                base = self._argument()
            else:
                power = self._exponent()
        self.nested += 1
        inside = self._operand()
        self.nested -= 1
        if power == -1 and name in _INVERSES:
            name, power = _INVERSES[name], None
        if name == "sqrt":
            value: Expression = root(inside, 2)
        elif name == "cbrt":
            value = root(inside, 3)
        elif name == "exp":
            value = ("power", ("name", "e"), inside)
        else:
            value = ("call", name, inside) if base is None else ("call", name, inside, base)
        return value if power is None else ("power", value, power)

    def _operand(self) -> Expression:
        """What a function is applied to: a group, or factors up to the next sign, group or function."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable
        kind = self._peek()[0]
        if kind in ("(", "{", "["):
            value = self._postfix(self._atom())
        elif kind == "-":
            self.position += 1
            value = signed("-", self._operand())
        else:
            value = self._power()
            while self._continues() and self._peek()[0] not in ("function", "(", "|"):
                value = times(value, self._power())
        self.depth -= 1
        return value
