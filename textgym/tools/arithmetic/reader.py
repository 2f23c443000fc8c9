"""Reading and computing an expression in one pass.

Invariant: total and bounded. Every text gives a number or raises ``CalculationError``; nothing is handed to an
interpreter. Length, depth and digits are bounded, so that time is too. Nothing is guessed: what has two
readings, such as ``1/2(3)``, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from textgym.tools.arithmetic.functions import CONSTANTS, FUNCTIONS, factorial
from textgym.tools.arithmetic.notation import plain
from textgym.tools.arithmetic.numbers import CalculationError, Number
from textgym.tools.arithmetic.operations import add, divide, divide_down, multiply, power, remainder, subtract
from textgym.tools.arithmetic.results import text_of
from textgym.tools.arithmetic.tokens import END, Token, number_of, tokens_of

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "compute", "evaluate"]

MAX_CHARACTERS = 1000
"""Longest expression, in characters."""
MAX_DEPTH = 50
"""Deepest nesting of parentheses, powers and function calls."""

_SUM, _PRODUCT, _SIGN, _POWER = 1, 2, 3, 4
_OPERATORS: dict[str, tuple[int, Callable[[Number, Number], Number]]] = {
    "+": (_SUM, add),
    "-": (_SUM, subtract),
    "*": (_PRODUCT, multiply),
    "/": (_PRODUCT, divide),
    "//": (_PRODUCT, divide_down),
    "%": (_PRODUCT, remainder),
    "^": (_POWER, power),
}
_WORDS = {"mod": "%", "of": "*", "x": "*"}
_DIVIDING = frozenset({"/", "//", "%"})
_BEGINS = frozenset({"number", "name", "(", "√"})
"""Kinds of tokens that an operand begins with, its sign apart."""


def evaluate(expression: str) -> str:
    """The value of an expression as text.

    Args:
        expression: Any text.

    Returns:
        The number: see ``results.text_of`` for its precision.

    Raises:
        CalculationError: It cannot be computed.

    Example:
        >>> evaluate("2 × (3 + 4)²"), evaluate("sqrt(16)"), evaluate("0.1 + 0.2"), evaluate("1/3")
        ('98', '4', '0.3', '0.333333333333')
    """
    return text_of(compute(expression))


def compute(expression: str) -> Number:
    """The value of an expression as a number. Args and Raises as ``evaluate``."""
    if len(expression) > MAX_CHARACTERS:
        raise CalculationError(
            f"the expression has {len(expression)} characters: at most {MAX_CHARACTERS} are possible"
        )
    text = expression if expression.isascii() else plain(expression)
    tokens = tokens_of(text.rstrip(" \t\r\n=") if text.rstrip().endswith("=") else text)
    if not tokens:
        raise CalculationError("the expression is empty")
    reader = _Reader(tokens)
    value = reader.expression(0)
    if reader.kind != "end":
        raise reader.unexpected()
    return value


class _Reader:
    """Precedence climbing over the tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = [*tokens, END, END]
        self.position = 0
        self.depth = 0
        self.kind, self.text = tokens[0]

    def advance(self) -> None:
        self.position += 1
        self.kind, self.text = self.tokens[self.position]

    def unexpected(self) -> CalculationError:
        if self.kind == "end":
            return CalculationError("the expression ends too early")
        before = self.tokens[self.position - 1][1] if self.position else ""
        if self.kind == ",":
            return CalculationError(
                "a comma is out of place: write thousands like 1,000 or 1000, and decimals with a point"
            )
        if self.kind == "=":
            return CalculationError("'=' is not understood: give one expression, without an equation")
        return CalculationError(
            f"{self.text!r:.40} is out of place" + (f" after {before!r:.40}" if before else "")
        )

    def expression(self, floor: int) -> Number:
        """Operands joined by operators that bind tighter than ``floor``."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise CalculationError(
                f"the expression is nested too deeply: at most {MAX_DEPTH} levels are possible"
            )
        value = self.signed()
        last = ""
        while True:
            sign = self.operator()
            if sign == "implied":
                if floor >= _PRODUCT:
                    break
                if last in _DIVIDING:
                    raise CalculationError(
                        f"it is unclear what the {last!r} before {self.text!r:.40} divides by: write * or "
                        "parentheses"
                    )
                value = multiply(value, self.expression(_PRODUCT))
                continue
            found = _OPERATORS.get(sign)
            if found is None or found[0] <= floor:
                break
            self.advance()
            level, operation = found
            value = operation(value, self.expression(_SIGN if level == _POWER else level))
            last = sign if level == _PRODUCT else ""
        self.depth -= 1
        return value

    def operator(self) -> str:
        """Which operator comes next; ``implied`` where two operands meet, as in ``2(3)`` and ``2 pi``."""
        if self.kind == "name":
            return _WORDS.get(self.text, "implied") if self.text not in CONSTANTS else "implied"
        return "implied" if self.kind in ("(", "√") else self.kind

    def signed(self) -> Number:
        negative = False
        signs = False
        while self.kind in ("+", "-"):
            signs = True
            negative ^= self.kind == "-"
            self.advance()
        if not signs:
            return self.postfixed()
        value = self.expression(_SIGN)
        return -value if negative else value

    def postfixed(self) -> Number:
        """An operand and the signs after it: ``5!``, ``50%``, ``30°``."""
        value = self.operand()
        while True:
            if self.kind == "!":
                self.advance()
                if self.kind == "!":
                    raise CalculationError("'!!' is ambiguous: write (3!)! for the factorial of a factorial")
                value = factorial(value)
            elif self.kind == "°":
                self.advance()
                value = multiply(value, math.pi / 180)
            elif self.kind == "%" and not self.is_remainder():
                self.advance()
                value = divide(value, 100)
            else:
                return value

    def is_remainder(self) -> bool:
        """Whether an operand without sign follows the ``%``; else it is a percent sign."""
        kind, text = self.tokens[self.position + 1]
        return kind in _BEGINS and not (kind == "name" and text in _WORDS)

    def operand(self) -> Number:
        kind, text = self.kind, self.text
        if kind == "number":
            self.advance()
            if self.kind == "number":
                raise self.unexpected()
            return number_of(text)
        if kind == "(":
            self.advance()
            value = self.expression(0)
            self.close()
            return value
        if kind == "√":
            self.advance()
            self.depth += 1  # √√√… is nested too
            if self.depth > MAX_DEPTH:
                raise CalculationError("the expression is nested too deeply")
            value = FUNCTIONS["sqrt"].compute(self.operand())
            self.depth -= 1
            return value
        if kind == "name":
            return self.named()
        raise self.unexpected()

    def named(self) -> Number:
        name = self.text
        self.advance()
        if name in CONSTANTS:
            return CONSTANTS[name]
        function = FUNCTIONS.get(name)
        if function is None:
            raise CalculationError(
                f"{name!r:.40} is unknown: there are {', '.join(FUNCTIONS)} and the constants pi, e, tau"
            )
        if self.kind != "(":
            raise CalculationError(f"{name} needs its arguments in parentheses: {name}(…)")
        self.advance()
        arguments: list[Number] = []
        if self.kind != ")":
            arguments.append(self.expression(0))
            while self.kind == ",":
                self.advance()
                arguments.append(self.expression(0))
        self.close()
        most = len(arguments) if function.most is None else function.most
        if not function.least <= len(arguments) <= most:
            raise CalculationError(
                f"{name} takes {_counted(function.least, function.most)}, not {len(arguments)}"
            )
        return function.compute(*arguments)

    def close(self) -> None:
        if self.kind == "end":
            raise CalculationError("a closing parenthesis is missing")
        if self.kind != ")":
            raise self.unexpected()
        self.advance()


def _counted(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more arguments"
    if least == most:
        return f"{least} argument" + ("s" if least > 1 else "")
    return f"{least} to {most} arguments"
