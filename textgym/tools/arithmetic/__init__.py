"""Exact arithmetic on text that a model wrote: what the calculator computes with.

``notation`` tidies the text, ``tokens`` cuts it up, ``reader`` computes by ``operations`` and ``functions``,
``results`` writes the value down. Nothing here knows what a tool is.
"""

from textgym.tools.arithmetic.numbers import MAX_DIGITS, CalculationError
from textgym.tools.arithmetic.reader import MAX_CHARACTERS, MAX_DEPTH, compute, evaluate

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "MAX_DIGITS", "CalculationError", "compute", "evaluate"]
