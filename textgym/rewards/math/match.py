"""Reward functions over ``averify_math``, for rubrics.

Invariant: what the model wrote earns 1.0 or 0.0 and never an error, even where judging it ran into the deadline.
An error means that the machine failed. ``math_outcome`` tells which 0.0 it was.
"""

from __future__ import annotations

from typing import Any

from textgym.parsers import BoxedParser, assistant_texts
from textgym.rewards.math.outcome import MathOutcome
from textgym.rewards.math.verdict import averify_math

__all__ = ["math_match", "math_outcome"]


async def math_match(
    completion: Any, answer: Any, parser: Any = None, tolerance: float | None = None
) -> float:
    r"""Reward function: 1.0 if the answer means the same as the gold answer, else 0.0.

    Args:
        completion: The text of the last answer, or messages.
        answer: The gold answer.
        parser: Finds the answer in the text. Without one the boxes, tags and short answers of ``verify_math``
            count. A ``BoxedParser`` only demands that there is a box: several different boxes are still wrong.
        tolerance: As in ``verify_math``; a dataset may have it as a column.

    Returns:
        1.0 or 0.0. ``math_outcome`` tells why.

    Example:
        >>> import asyncio
        >>> asyncio.run(math_match(r"It is \boxed{0.5}.", r"\frac{1}{2}"))
        1.0
    """
    return float(await _judged(completion, answer, parser, tolerance) is MathOutcome.CORRECT)


async def math_outcome(
    completion: Any, answer: Any, parser: Any = None, tolerance: float | None = None
) -> dict[str, float]:
    """Metrics for ``Rubric.add_metric``: which outcome it was. What a worker does is shared with ``math_match``.

    Args:
        completion: As in ``math_match``.
        answer: As in ``math_match``.
        parser: As in ``math_match``.
        tolerance: As in ``math_match``.

    Returns:
        1.0 for one of ``math_correct``, ``math_wrong``, ``math_unparsable`` and ``math_timeout``, 0.0 for the
        others.
    """
    outcome = await _judged(completion, answer, parser, tolerance)
    return {f"math_{each.value}": float(each is outcome) for each in MathOutcome}


async def _judged(completion: Any, answer: Any, parser: Any, tolerance: float | None) -> MathOutcome:
    found = completion if parser is None else parser.parse_answer(completion)
    if found is None:
        return MathOutcome.UNPARSABLE
    if not isinstance(found, str) or (isinstance(parser, BoxedParser) and parser.extract_fn is None):
        found = (assistant_texts(completion) or [""])[-1]
    return await averify_math(found, answer, tolerance=tolerance or 0.0)
