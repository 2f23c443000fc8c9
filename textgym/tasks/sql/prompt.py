"""The wording around a question about a database.

Invariant: part of what ``SQL-v0`` is; a change of a character here is a change of the task.
"""

TASK = (
    "Answer a question about a SQLite database with one SELECT query. Look at its tables and try queries with the "
    "tools; the final answer is the query itself, not its result. It will be run on this database and on others "
    "that have the same tables and other rows, and it has to give the right rows on all of them: exactly the "
    "columns that are asked for, in the order in which they are asked for. Their names do not matter, nor does "
    "the order of the rows unless one is asked for. Dates are texts like 2024-03-09. A missing value is NULL, and "
    "counts in no total, average or comparison."
)
