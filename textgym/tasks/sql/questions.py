"""Questions in English with the query that answers them, a function for each shape.

Invariant: a question says all that the query does: which columns, in which order, how to round, what to do with
equals; so its result is the only right one. ``weaker`` holds the same query without one of its conditions:
queries that have to give something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from textgym.tasks.sql.conditions import Subject, Writer
from textgym.tasks.sql.schema import Label, Link, Measure, Table

__all__ = ["LEVELS", "Draft", "Shape"]

_EQUALS = "equal ones by id, the lowest first"


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that is still to be tried on data."""

    question: str
    """What is asked."""
    sql: str
    """The query that answers it."""
    weaker: tuple[str, ...] = ()
    """Queries of which each has to give another result on some of the databases."""
    ordered: bool = False
    """Whether the question asks for an order."""


Shape: TypeAlias = Callable[[Writer, int], Draft]
"""``shape(writer, level) -> draft``."""


def _draft(
    question: str, write: Callable[[Subject], str], subject: Subject, *, ordered: bool = False
) -> Draft:
    """The draft of a query that is written from a subject, weaker ones from the subject with less said of it."""
    weaker = tuple(write(subject.without(index)) for index in range(len(subject.conditions)))
    return Draft(question, write(subject), weaker, ordered)


_CONDITIONS = ((1, 0), (1, 1), (1, 1), (1, 2), (2, 2))
"""Level -> conditions on own columns, and steps to another table with one more."""


def _any_subject(writer: Writer, level: int, *, labelled: bool = False) -> Subject:
    """Rows to ask about: more conditions and more tables with every level."""
    tables = [table for table in writer.domain.tables if table.label or not labelled]
    return _about(writer, level, [(table, None) for table in tables])[0]


def _measured(writer: Writer, level: int, *, labelled: bool = False) -> tuple[Subject, Measure]:
    """Rows to ask about and a number of theirs that no condition speaks of."""
    tables = [table for table in writer.domain.tables if table.label or not labelled]
    subject, measure = _about(writer, level, [(table, found) for table in tables for found in table.measures])
    assert measure is not None
    return subject, measure


def _about(
    writer: Writer, level: int, choices: list[tuple[Table, Measure | None]]
) -> tuple[Subject, Measure | None]:
    linked = [choice for choice in choices if choice[0].links]
    own, hops = _CONDITIONS[level - 1]
    if level == 1 or not linked:
        linked, own = choices, 1 if level == 1 else 2
    table, measure = writer.pick(linked)
    return writer.subject(table, own, hops if level > 1 else 0, besides=measure), measure


def _extreme(writer: Writer) -> tuple[str, str]:
    """The word and the order of one end."""
    return (("highest", "DESC"), ("lowest", "ASC"))[writer.between(0, 1)]


def _known(subject: Subject, measure: Measure) -> str:
    """The condition that a measure is there, where it may be missing."""
    return f"{subject.table.name}.{measure.name} IS NOT NULL" if measure.missing else ""


def _label(table: Table) -> str:
    assert table.label is not None
    return f"{table.name}.{table.label.name}"


def _family(writer: Writer, *, complete: bool = False) -> tuple[Table, Link, Table]:
    """(parent with a name, link, child with a number); ``complete``: one that is never missing."""
    families = [
        (parent, link, child)
        for parent, link, child in writer.domain.families
        if parent.label and any(not (complete and measure.missing) for measure in child.measures)
    ]
    found: tuple[Table, Link, Table] = writer.pick(families)
    return found


def _count(writer: Writer, level: int) -> Draft:
    subject = _any_subject(writer, level)
    return _draft(
        f"How many {subject.many} are there?",
        lambda s: f"SELECT COUNT(*) FROM {s.source}{s.where()}",
        subject,
    )


def _listing(writer: Writer, level: int) -> Draft:
    subject = _any_subject(writer, level, labelled=True)
    label = _label(subject.table)
    return _draft(
        f"List the {label.partition('.')[2]} of every {subject.one}.",
        lambda s: f"SELECT {label} FROM {s.source}{s.where()}",
        subject,
    )


def _aggregate(writer: Writer, level: int) -> Draft:
    subject, measure = _measured(writer, level)
    name = f"{subject.table.name}.{measure.name}"
    word, sql = writer.pick(
        (
            ("average", f"ROUND(AVG({name}), 2)"),
            ("total", f"SUM({name})"),
            ("highest", f"MAX({name})"),
            ("lowest", f"MIN({name})"),
        )
    )
    if word == "total" and measure.noun.startswith("year"):
        word, sql = "average", f"ROUND(AVG({name}), 2)"
    rounding = " Round it to 2 decimals." if word == "average" else ""
    return _draft(
        f"What is the {word} {measure.noun} of all {subject.many}?{rounding}",
        lambda s: f"SELECT {sql} FROM {s.source}{s.where()}",
        subject,
    )


def _top(writer: Writer, level: int) -> Draft:
    subject, measure = _measured(writer, level, labelled=True)
    label = _label(subject.table)
    word, order = _extreme(writer)
    name = subject.table.name
    return _draft(
        f"Which {subject.one} has the {word} {measure.noun}? Give its {label.partition('.')[2]} (of several, that "
        "with the lowest id).",
        lambda s: (
            f"SELECT {label} FROM {s.source}{s.where(_known(s, measure))} "
            f"ORDER BY {name}.{measure.name} {order}, {name}.id LIMIT 1"
        ),
        subject,
    )


def _ranking(writer: Writer, level: int) -> Draft:
    subject, measure = _measured(writer, level, labelled=True)
    label, count = _label(subject.table), writer.between(3, 5)
    word, order = _extreme(writer)
    name = subject.table.name
    return _draft(
        f"List the {label.partition('.')[2]} and the {measure.noun} of the {count} {subject.many} with the {word} "
        f"{measure.noun}, the {word} first; {_EQUALS}.",
        lambda s: (
            f"SELECT {label}, {name}.{measure.name} FROM {s.source}{s.where(_known(s, measure))} "
            f"ORDER BY {name}.{measure.name} {order}, {name}.id LIMIT {count}"
        ),
        subject,
        ordered=True,
    )


def _groups(writer: Writer, level: int) -> Draft:
    tables = [table for table in writer.domain.tables if table.choices]
    table = writer.pick([table for table in tables if table.links or level < 3] or tables)
    choice = writer.pick(table.choices)
    subject = writer.subject(table, 0 if level > 2 else 1, 1 if level > 2 else 0)
    if any(choice.name in condition.sql for condition in subject.conditions):
        subject = Subject(table, ())
    return _draft(
        f"For each {choice.name}, how many {subject.many} are there? Give the {choice.name} and the number; leave "
        "out those without any.",
        lambda s: (
            f"SELECT {table.name}.{choice.name}, COUNT(*) FROM {s.source}{s.where()} "
            f"GROUP BY {table.name}.{choice.name}"
        ),
        subject,
    )


def _children(writer: Writer, level: int) -> Draft:
    parent, link, child = _family(writer)
    subject, owners = writer.subject(child, 1), writer.subject(parent, 1 if level > 3 else 0)
    label = _label(parent)
    return _draft(
        f"For each {owners.one}, how many {subject.many} are there ({link.column})? Give the "
        f"{label.partition('.')[2]} and the number, a row for each {parent.one}, also for those with 0.",
        lambda s: (
            f"SELECT {label}, COUNT({child.name}.id) FROM {parent.name} LEFT JOIN {child.name} "
            f"ON {child.name}.{link.column} = {parent.name}.id{s.also()}{owners.where()} GROUP BY {parent.name}.id"
        ),
        subject,
    )


def _exists(link: Link, parent: Table, subject: Subject) -> str:
    return (
        f"EXISTS (SELECT 1 FROM {subject.source} "
        f"WHERE {subject.table.name}.{link.column} = {parent.name}.id{subject.also()})"
    )


def _childless(writer: Writer, level: int) -> Draft:
    parent, link, child = _family(writer)
    subject, label = writer.subject(child, 1), _label(parent)
    return _draft(
        f"List the {label.partition('.')[2]} of every {parent.one} without any {subject.one} ({link.column}).",
        lambda s: f"SELECT {label} FROM {parent.name} WHERE NOT {_exists(link, parent, s)}",
        subject,
    )


def _at_least(writer: Writer, level: int) -> Draft:
    parent, link, child = _family(writer)
    subject, label, count = writer.subject(child, 1), _label(parent), writer.between(2, 4)
    return _draft(
        f"List the {label.partition('.')[2]} of every {parent.one} with at least {count} {subject.many} "
        f"({link.column}).",
        lambda s: (
            f"SELECT {label} FROM {parent.name} JOIN {child.name} ON {child.name}.{link.column} = {parent.name}.id"
            f"{s.where()} GROUP BY {parent.name}.id HAVING COUNT(*) >= {count}"
        ),
        subject,
    )


def _above_average(writer: Writer, level: int) -> Draft:
    subject, measure = _measured(writer, level)
    table = subject.table
    return _draft(
        f"How many {subject.many} have a {measure.noun} above the average of all {table.many}?",
        lambda s: (
            f"SELECT COUNT(*) FROM {s.source}"
            f"{s.where(f'{table.name}.{measure.name} > (SELECT AVG({measure.name}) FROM {table.name})')}"
        ),
        subject,
    )


def _totals(writer: Writer, level: int) -> Draft:
    families = [
        (parent, link, child, choice, measure)
        for parent, link, child in writer.domain.families
        for choice in parent.choices
        for measure in child.measures
        if not measure.missing  # the total of nothing but NULL would be NULL or 0
    ]
    parent, link, child, choice, measure = writer.pick(families)
    subject = writer.subject(child, 1, besides=measure)
    return _draft(
        f"For each {choice.name} of the {parent.many}, what is the total {measure.noun} of the {subject.many} "
        f"({link.column})? Give the {choice.name} and the total; leave out those without any such {child.one}.",
        lambda s: (
            f"SELECT {link.alias}.{choice.name}, SUM({child.name}.{measure.name}) FROM {child.name} "
            f"JOIN {parent.name} AS {link.alias} ON {link.alias}.id = {child.name}.{link.column}{s.where()} "
            f"GROUP BY {link.alias}.{choice.name}"
        ),
        subject,
    )


def _distinct(writer: Writer, level: int) -> Draft:
    families = [f for f in writer.domain.families if len(f[2].links) > 1] or writer.domain.families
    parent, link, child = writer.pick(families)
    subject = writer.subject(child, 1, 2)
    return _draft(
        f"How many different {parent.many} ({link.column}) do the {subject.many} belong to?",
        lambda s: f"SELECT COUNT(DISTINCT {child.name}.{link.column}) FROM {s.source}{s.where()}",
        subject,
    )


def _percentage(writer: Writer, level: int) -> Draft:
    tables = [table for table in writer.domain.tables if table.links]
    table = writer.pick(tables)
    subject, part = writer.subject(table, 0, 1), writer.subject(table, 1)
    asked = part.conditions[0]
    return _draft(
        f"Which percentage of all {subject.many} are {part.many}? Round it to 1 decimal.",
        lambda s: (
            f"SELECT ROUND(100.0 * SUM(CASE WHEN {asked.sql} THEN 1 ELSE 0 END) / COUNT(*), 1) "
            f"FROM {s.source}{s.where()}"
        ),
        subject,
    )


def _top_of_groups(writer: Writer, level: int) -> Draft:
    tables = [table for table in writer.domain.tables if table.choices and table.label and table.measures]
    table = writer.pick(tables)
    choice, measure, label = writer.pick(table.choices), writer.pick(table.measures), _label(table)
    columns = [c for c in table.columns if c not in (choice, measure) and not isinstance(c, Label)]
    found = [writer.condition(table, writer.pick(columns), table.name)] if columns else []
    if table.links:
        found.append(writer.linked(table, 1))
    subject = Subject(table, tuple(found))
    word, order = _extreme(writer)
    name = table.name
    return _draft(
        f"For each {choice.name}, which {subject.one} has the {word} {measure.noun} (of several, that with the "
        f"lowest id)? Give the {choice.name}, the {label.partition('.')[2]} and the {measure.noun}; leave out "
        "those without any.",
        lambda s: (
            f"SELECT choice, label, measure FROM (SELECT {name}.{choice.name} AS choice, {label} AS label, "
            f"{name}.{measure.name} AS measure, ROW_NUMBER() OVER (PARTITION BY {name}.{choice.name} "
            f"ORDER BY {name}.{measure.name} {order}, {name}.id) AS place "
            f"FROM {s.source}{s.where(_known(s, measure))}) WHERE place = 1"
        ),
        subject,
    )


def _one_not_other(writer: Writer, level: int) -> Draft:
    parent, link, child = _family(writer)
    some, none, label = writer.subject(child, 1), writer.subject(child, 1), _label(parent)

    def write(with_some: Subject, with_none: Subject) -> str:
        return (
            f"SELECT {label} FROM {parent.name} WHERE {_exists(link, parent, with_some)} "
            f"AND NOT {_exists(link, parent, with_none)}"
        )

    weaker = [write(some.without(index), none) for index in range(len(some.conditions))]
    weaker += [f"SELECT {label} FROM {parent.name} WHERE {_exists(link, parent, some)}"]
    weaker += [f"SELECT {label} FROM {parent.name} WHERE NOT {_exists(link, parent, none)}"]
    return Draft(
        f"List the {label.partition('.')[2]} of every {parent.one} with at least one {some.one}, but without any "
        f"{none.one} ({link.column} in both cases).",
        write(some, none),
        tuple(weaker),
    )


def _above_own_average(writer: Writer, level: int) -> Draft:
    parent, link, child = _family(writer)
    measure, label, count = writer.pick(child.measures), _label(parent), writer.between(2, 3)
    name = f"{child.name}.{measure.name}"
    subject = writer.subject(child, 1, besides=measure)
    return _draft(
        f"List the {label.partition('.')[2]} of every {parent.one} with at least {count} {subject.many} "
        f"({link.column}), if the average {measure.noun} of these is above the average of all {child.many}.",
        lambda s: (
            f"SELECT {label} FROM {parent.name} JOIN {child.name} ON {child.name}.{link.column} = {parent.name}.id"
            f"{s.where()} GROUP BY {parent.name}.id HAVING COUNT(*) >= {count} "
            f"AND AVG({name}) > (SELECT AVG({measure.name}) FROM {child.name})"
        ),
        subject,
    )


def _parents_ranked(writer: Writer, level: int) -> Draft:
    parent, link, child = _family(writer, complete=True)
    measures = [measure for measure in child.measures if not measure.missing]
    measure, label, count = writer.pick(measures), _label(parent), writer.between(3, 5)
    total = f"SUM({child.name}.{measure.name})"
    subject = writer.subject(child, 1, besides=measure)
    return _draft(
        f"Which {count} {parent.many} have the highest total {measure.noun} of their {subject.many} "
        f"({link.column})? Give the {label.partition('.')[2]} and the total, the highest first; {_EQUALS}. Leave "
        "out those without any.",
        lambda s: (
            f"SELECT {label}, {total} FROM {parent.name} JOIN {child.name} "
            f"ON {child.name}.{link.column} = {parent.name}.id{s.where()} GROUP BY {parent.name}.id "
            f"ORDER BY {total} DESC, {parent.name}.id LIMIT {count}"
        ),
        subject,
        ordered=True,
    )


LEVELS: dict[int, tuple[Shape, ...]] = {
    1: (_count, _listing, _aggregate),
    2: (_count, _listing, _aggregate, _top, _groups),
    3: (_ranking, _groups, _children, _childless, _at_least),
    4: (_above_average, _totals, _distinct, _percentage, _children, _aggregate),
    5: (_top_of_groups, _one_not_other, _above_own_average, _parents_ranked, _ranking),
}
"""Difficulty -> shapes."""
