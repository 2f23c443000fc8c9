"""What a query gives: a table of values, as text for the model and compared for the score.

Invariant: two results are equal if their rows are, as often as they come, in order only where order is asked
for. Numbers are equal up to rounding errors, whether whole or not; a text is never a number, and NULL equals
nothing but NULL. Names of columns do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["MAX_ROWS", "ResultTable", "Row", "equal_rows"]

MAX_ROWS = 500
"""Most rows that are fetched."""
_SHOWN = 30
_WIDTH = 80
_EXACT = 9
"""Significant digits to which numbers have to agree."""

Row: TypeAlias = tuple[Any, ...]
"""The values of one row: int, float, str, bytes or None."""


@dataclass(frozen=True, slots=True)
class ResultTable:
    """The result of a query."""

    columns: tuple[str, ...]
    """Names of the columns."""
    rows: tuple[Row, ...]
    """The rows in the order in which they came."""
    complete: bool = True
    """Whether these are all."""

    def text(self) -> str:
        """The table as the model sees it, long ones cut.

        Example:
            >>> print(ResultTable(("name", "age"), (("Zoë", 31), ("Ole", None))).text())
            name | age
            Zoë | 31
            Ole | NULL
            (2 rows)
        """
        lines = [" | ".join(map(_cell, self.columns))]
        lines += [" | ".join(map(_cell, row)) for row in self.rows[:_SHOWN]]
        count = len(self.rows)
        total = f"{count} row" + ("" if count == 1 else "s") if self.complete else f"more than {count} rows"
        lines.append(f"({total})" if count <= _SHOWN else f"(the first {_SHOWN} of {total})")
        return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    text = f"{value:.12g}" if isinstance(value, float) and math.isfinite(value) else str(value)
    if isinstance(value, float) and text.lstrip("-").isdigit():
        text += ".0"
    text = text.replace("\r", "\\r").replace("\n", "\\n")
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def equal_rows(left: Sequence[Row], right: Sequence[Row], *, ordered: bool) -> bool:
    """Whether two results are the same.

    Args:
        left: Rows.
        right: Rows.
        ordered: Whether their order matters.

    Example:
        >>> equal_rows([(1, "a"), (2.0, None)], [(2, None), (1, "a")], ordered=False)
        True
        >>> equal_rows([("1",)], [(1,)], ordered=False), equal_rows([(1,), (1,)], [(1,)], ordered=False)
        (False, False)
    """
    if len(left) != len(right):
        return False
    if ordered:
        return all(map(_equal, left, right))
    rest = sorted(right, key=_rank)
    for row in sorted(
        left, key=_rank
    ):  # nearly equal numbers may sort either way: the partner is near the front
        partner = next((place for place, other in enumerate(rest) if _equal(row, other)), None)
        if partner is None:
            return False
        del rest[partner]
    return True


def _equal(left: Row, right: Row) -> bool:
    return len(left) == len(right) and all(map(_same, left, right))


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, int | float) and isinstance(right, int | float):
        if isinstance(left, int) and isinstance(right, int):
            return left == right
        return math.isclose(left, right, rel_tol=10.0**-_EXACT, abs_tol=10.0**-_EXACT)
    return type(left) is type(right) and bool(left == right)


def _rank(row: Row) -> Any:
    """Sorts rows of values of all types: by what has to be the same exactly, then by the numbers."""
    exact = [_exact_rank(value) for value in row]
    return exact, [value for value in row if isinstance(value, int | float)]


def _exact_rank(value: Any) -> tuple[int, str]:
    if value is None:
        return 0, ""
    if isinstance(value, int | float):
        return 1, ""
    return (2, value) if isinstance(value, str) else (3, value.hex())
