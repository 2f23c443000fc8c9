"""The wording around a question about a fictional world.

Invariant: part of what ``Search-v0`` is; a change of a character here is a change of the task.
"""

TASK = (
    "Answer a question about a fictional world, which only a collection of articles describes. Search the "
    "articles and read those that you need: many names resemble each other, and a question may lead from one "
    "article to the next. The final answer is one name or one number, without unit, as it stands in the articles."
)
