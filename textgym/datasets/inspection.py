"""``Inspection``: one pass over rows that finds everything that is wrong with them.

Invariant: all malformed rows are reported together, in one error, before anything is made of the
good ones; the report names the first 20 by their place and counts the rest. Memory is a few bytes a
row, whatever the rows hold. The inspection reads no files; it is given one row after another.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from textgym.datasets.rows import as_example, has_own_id, renamed
from textgym.errors import DatasetError
from textgym.types import Example

__all__ = ["Check", "Inspection", "read_rows"]

logger = logging.getLogger("textgym.datasets")

Check: TypeAlias = Callable[[Example], str | None]
"""What else has to hold of an example: returns what is wrong with it, or None."""

SHOWN = 20
"""Problems that a report spells out."""

_Signature: TypeAlias = tuple[str, str, str, str]
_PARTS = ("prompt", "question", "answer")


class Inspection:
    """Collects the problems of the rows of one source.

    Args:
        name: What the source is called in the report.
        unit: What a place is: ``"row"``, ``"line"`` or ``"item"``.
        columns: Our column name -> the row's, as for ``renamed``.
        check: What else has to hold of each example.
        mixed: Whether rows of one task may differ in the types of prompt, question and answer. If
            not, those that differ from the most frequent combination are malformed.

    Example:
        >>> inspection = Inspection("two rows", "row")
        >>> example = inspection.read(0, {"question": "2+2?"})
        >>> inspection.read(1, {"answer": "4"})
        >>> inspection.finish(skip_bad=True)
        array([ True])
    """

    def __init__(
        self,
        name: str,
        unit: str,
        *,
        columns: Mapping[str, str] | None = None,
        check: Check | None = None,
        mixed: bool = False,
    ) -> None:
        self.name = name
        self._unit = unit
        self._columns = columns or {}
        self._check = check
        self._mixed = mixed
        self._problems: list[tuple[int, str]] = []
        self._refused = 0
        self._deviating = 0
        self._seen: dict[int, int] = {}
        self._signatures: dict[_Signature, int] = {}
        self._codes = array("L")
        self._places = array("Q")

    def read(self, place: int, row: Any) -> Example | None:
        """Read one row.

        Args:
            place: Its number within the source; places increase from call to call.
            row: As for ``as_example``.

        Returns:
            The example, or None if the row is malformed, which is noted.
        """
        try:
            row = renamed(row, self._columns)
            example = as_example(row)
            if has_own_id(row, example):
                self._refuse_twin(place, example.id)
            problem = None if self._check is None else self._check(example)
            if problem is not None:
                raise DatasetError(problem)
        except DatasetError as error:
            self.refuse(place, str(error))
            return None
        signature = _signature(example)
        self._codes.append(self._signatures.setdefault(signature, len(self._signatures)))
        self._places.append(place)
        return example

    def refuse(self, place: int, problem: str) -> None:
        """Note a row that could not even be read."""
        self._refused += 1
        if len(self._problems) < SHOWN:
            self._problems.append((place, problem))

    def finish(self, *, skip_bad: bool) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """End the pass and report.

        Args:
            skip_bad: Log the report and go on without the malformed rows, instead of raising.

        Returns:
            For every example that ``read`` returned, in order, whether it stays.

        Raises:
            DatasetError: Rows are malformed, or none is left.
        """
        stays = np.ones(len(self._codes), dtype=np.bool_)
        if not self._mixed and len(self._signatures) > 1:
            self._refuse_deviating(stays)
        bad = self._refused + self._deviating
        if bad:
            report = self._report()
            if not skip_bad:
                raise DatasetError(f"{report}\n{self._way_out()}")
            logger.warning("%s\nThey are left out (skip_bad=True).", report)
        if not stays.any():
            left = " left after the malformed ones" if bad else ""
            raise DatasetError(
                f"{self.name} has no rows{left}: it needs at least one row with a prompt or a question"
            )
        return stays

    def _refuse_twin(self, place: int, identifier: str) -> None:
        # 64 bits of it instead of the text, so that a million ids stay within a hundred megabytes.
        first = self._seen.setdefault(hash(identifier), place)
        if first != place:
            raise DatasetError(f"its id {identifier!r:.80} is that of {self._unit} {first} already")

    def _refuse_deviating(self, stays: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        codes = np.frombuffer(self._codes, dtype=f"u{self._codes.itemsize}")
        counts = np.bincount(codes, minlength=len(self._signatures))
        usual: dict[str, _Signature] = {}
        for signature, code in self._signatures.items():
            best = usual.get(signature[0])
            if best is None or counts[code] > counts[self._signatures[best]]:
                usual[signature[0]] = signature
        reasons = {
            code: _difference(signature, usual[signature[0]], counts[self._signatures[usual[signature[0]]]])
            for signature, code in self._signatures.items()
            if signature != usual[signature[0]]
        }
        stays &= ~np.isin(codes, list(reasons))
        deviating = np.flatnonzero(~stays)
        self._deviating = len(deviating)
        found = [(self._places[i], reasons[self._codes[i]]) for i in deviating[:SHOWN].tolist()]
        self._problems = sorted(self._problems + found)[:SHOWN]

    def _report(self) -> str:
        bad = self._refused + self._deviating
        lines = [f"{bad} of {len(self._codes) + self._refused} rows of {self.name} are malformed:"]
        lines += [f"  {self._unit} {place}: {problem}" for place, problem in self._problems]
        if bad > len(self._problems):
            lines.append(f"  … and {bad - len(self._problems)} more")
        return "\n".join(lines)

    def _way_out(self) -> str:
        way = "Fix them, or pass skip_bad=True to leave them out."
        if any("neither 'prompt' nor 'question'" in problem for _, problem in self._problems):
            way += ' If the question has another name, say so: columns={"question": "that name"}.'
        if self._deviating:
            way += " Rows of one task have equal types unless mixed=True allows others."
        return way


def read_rows(
    rows: Iterable[Any],
    *,
    skip_bad: bool = False,
    columns: Mapping[str, str] | None = None,
    check: Check | None = None,
) -> tuple[Example, ...]:
    """Read all rows and report all that are malformed at once.

    Args:
        rows: Rows as for ``as_example``. An explicit ``id`` occurs once; types may be mixed.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        columns: Our column name -> the rows' name.
        check: What else has to hold of each example.

    Returns:
        The examples in order, at least one.

    Raises:
        DatasetError: Rows are malformed (the message lists the first 20 with their positions, which
            count from 0), or no row is left.
    """
    inspection = Inspection("the dataset", "row", columns=columns, check=check, mixed=True)
    read = (inspection.read(position, row) for position, row in enumerate(rows))
    examples = tuple(example for example in read if example is not None)
    inspection.finish(skip_bad=skip_bad)
    return examples


def _signature(example: Example) -> _Signature:
    return example.task, _kind(example.prompt), _kind(example.question), _kind(example.answer)


def _kind(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list | tuple):
        return "a list"
    return "a dict" if isinstance(value, Mapping) else type(value).__name__


def _difference(signature: _Signature, usual: _Signature, times: int) -> str:
    task, *kinds = signature
    for part, kind, expected in zip(_PARTS, kinds, usual[1:], strict=True):
        if kind != expected:
            return f"its {part} is {kind}, while it is {expected} in {times} other rows of task {task!r}"
    raise AssertionError("equal signatures do not deviate")
