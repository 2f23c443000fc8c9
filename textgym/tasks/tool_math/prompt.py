"""The wording around a problem.

Invariant: part of what ``ToolMath-v0`` is; a change of a character here is a change of the task.
"""

TASK = (
    "Solve the problem. Do not calculate in your head: use the tools. The final answer is one exact number, a "
    "whole number or a decimal, without unit. Where the problem says how to round, halves are rounded up."
)
