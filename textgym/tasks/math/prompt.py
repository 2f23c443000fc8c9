"""The wording around a math problem.

Invariant: part of what ``Math-v0`` is; a change of a character here is a change of the task.
"""

SYSTEM_PROMPT = (
    "Solve the problem. Think step by step, then give the final answer in \\boxed{}. "
    "The answer is one number: a whole number, or a fraction like 3/4 if it is not whole."
)
