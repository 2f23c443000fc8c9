"""Mathematical answers: are two of them the same?

``verify_math`` judges any answer on the ladder of ``verdict.py``; ``number_match`` knows plain numbers only. The
files, from the text to the verdict:

    extraction   the answer in what a model wrote
    notation     one spelling                   tokens       cut into signs and names
    tree         expressions as data            expressions  from tokens to trees
    algebra      exact arithmetic               powers, functions    with exact results
    exact        canonical values of trees      numeric      floating point samples
    equality     are two expressions equal?
    units        what units are worth           quantities   a number and its unit
    values       kinds of answers               reals        intervals and their unions
    relations    x = 3, 2 < x ≤ 5               words        yes, no solution, (B)
    reader       the readings of a text         comparison   do two readings mean the same?
    worker       runs math-verify               process      one worker    pool    all of them
    outcome      what a verdict can be          verdict      the ladder     match   reward functions

Invariant: no text of a model is evaluated, and each is judged in bounded time.
"""

from textgym.rewards.math.match import math_match, math_outcome
from textgym.rewards.math.numbers import number_match, read_number
from textgym.rewards.math.outcome import MathOutcome
from textgym.rewards.math.verdict import averify_math, verify_math

__all__ = [
    "MathOutcome",
    "averify_math",
    "math_match",
    "math_outcome",
    "number_match",
    "read_number",
    "verify_math",
]
