"""QA-v0: questions and answers from a file of your own.

Invariant: a row that no answer could solve, or whose own answer would not earn 1, is reported with its line
before the first episode; so the oracle is perfect on every row that is played. Equal questions are never in
both splits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from textgym.datasets import Dataset, as_dataset
from textgym.datasets.rows import checked_columns
from textgym.envs import SingleTurnEnv
from textgym.envs.episode_parts import Setting
from textgym.errors import ConfigError, DatasetError
from textgym.parsers import Parser
from textgym.rewards import Rubric
from textgym.tasks.qa.choice import Choice
from textgym.tasks.qa.prompt import FORMATS, PARSERS, with_options
from textgym.tasks.qa.scoring import Scoring
from textgym.tasks.qa.scorings import SCORINGS
from textgym.types import Example, Message

__all__ = ["QAEnv"]

_SAMPLE = Path(__file__).with_name("sample.jsonl")
_SAMPLE_TASKS = {"math": "numeric", "f1": "exact"}
"""Scoring -> task of the sample rows that suit it, where its name is another."""


class QAEnv(SingleTurnEnv):
    """Answer questions from a file of your own.

    ## Description
    Each episode asks one row of a ``.jsonl``, ``.json``, ``.csv``, ``.tsv`` or ``.parquet`` file and compares the
    answer with the row's. Without a file it plays a small sample of general knowledge and logic. All rows are
    checked when the environment is made; those that are malformed, or that no answer could solve, are listed
    with their lines.

    ## Action Space
    Text with the answer in the format of ``parser``. Several boxes or tags are allowed; the last one counts.

    ## Observation Space
    Text: the instructions, the question and, for ``scoring="choice"``, its options. A row's ``question`` is asked
    so; a row's ``prompt`` (text or messages) is taken as it is, without options.

    ## Starting State
    A row, in a seeded order without replacement.

    ## Rewards
    One component in [0, 1], named ``correct``, or ``f1`` for F1. A blank answer, and one that the parser cannot
    find, earns 0. The metric ``format`` is the parser's format score.

    | scoring | earns 1 |
    |---|---|
    | ``exact`` | a text equal apart from case, spacing and punctuation at its end |
    | ``numeric`` | an exactly equal number: ``0.5``, ``1/2``, ``1,000`` |
    | ``math`` | what ``textgym.rewards.math_match`` takes to mean the same |
    | ``choice`` | the right option of the row's ``choices``, by letter, by text or by both |
    | ``set`` | the same comma-separated items in any order |
    | ``f1`` | the same words; the share of common words is partial credit (token F1 of SQuAD) |

    An answer that is a list holds equally good answers (for ``set``: the items, all of which are needed). An
    episode counts as solved at 1, for ``f1`` at 0.8.

    ## Episode End
    Terminates with the first answer.

    ## Arguments
    ``gym.make("textgym/QA-v0", path="my.jsonl", scoring="numeric", columns={"question": "problem"})``

    ## Version History
    * v0: initial version.

    Args:
        path: The file, or None for the sample. Text forms may be compressed (``.jsonl.gz``).
        scoring: ``"exact"``, ``"numeric"``, ``"math"``, ``"choice"``, ``"set"`` or ``"f1"``.
        split: ``"train"``, ``"test"`` (disjoint: equal questions are on one side), or None for all rows.
        columns: Our column name -> the file's, like ``{"question": "problem", "answer": "solution"}``.
        parser: Where the answer is: ``"boxed"``, ``"xml"`` (``<answer>`` tags), ``"think"`` (all that follows the
            thinking, if there is any), ``"json"`` (key ``answer``) or ``"none"`` (the whole text).
        system_prompt: Instructions; None for those that fit ``scoring`` and ``parser``, ``""`` for none.
        answer_after: Only what follows this text in a gold answer counts, like ``"####"`` in GSM8K.
        test_share: Share of the questions that belong to the test split.
        split_seed: Gives another division into train and test.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        few_shot_examples: Worked examples before the question: messages, or rows with question and answer.
        message_type: ``"chat"`` or ``"completion"``.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable, or there is no such file.
        DatasetError: Rows are malformed; all of them are listed.
    """

    def __init__(
        self,
        path: str | None = None,
        scoring: str = "exact",
        split: Literal["train", "test"] | None = None,
        columns: Mapping[str, str] | None = None,
        parser: str = "boxed",
        system_prompt: str | None = None,
        answer_after: str | None = None,
        test_share: float = 1 / 8,
        split_seed: int = 0,
        skip_bad: bool = False,
        few_shot_examples: Sequence[Mapping[str, Any]] = (),
        message_type: str = "chat",
        render_mode: str | None = None,
    ) -> None:
        self.scoring: Scoring = _named("scoring", scoring, SCORINGS)(answer_after)
        finder: Parser = _named("parser", parser, PARSERS)()
        renaming = checked_columns(columns)
        if path is None and renaming:
            raise ConfigError("columns is given without a path: it names the columns of your file")
        if answer_after is not None and not (isinstance(answer_after, str) and answer_after):
            raise ConfigError(f'answer_after is {answer_after!r:.60}: it must be a text like "####", or None')
        arguments = (scoring, parser, answer_after, tuple(sorted(renaming.items())), bool(skip_bad))
        dataset = _rows(*_source(path), *arguments)
        if split is not None:
            dataset = dataset.split(split, test_share=test_share, seed=split_seed)
        self._require_rows(dataset, split, path)

        if system_prompt is None:
            system_prompt = f"Answer the question. {self.scoring.aim} {FORMATS[parser]}"
        rubric = Rubric(parser=finder).add(self.scoring.judge, name=self.scoring.component)
        rubric.add_metric(finder.get_format_reward_func(), name="format")
        super().__init__(
            dataset,
            rubric,
            finder,
            system_prompt=system_prompt,
            few_shot_examples=few_shot_examples,
            message_type=message_type,
            render_mode=render_mode,
        )
        self.success_threshold = self.scoring.threshold

    def _require_rows(self, dataset: Dataset, split: str | None, path: str | None) -> None:
        try:
            len(dataset)
        except DatasetError as error:
            raise DatasetError(
                f"the {split} split of {path or 'the sample'} is empty: it has too few different questions; "
                "change test_share or split_seed, or use split=None"
            ) from error

    def _choose(self, setting: Setting) -> Example:
        example = super()._choose(setting)
        if setting.options.get("example") is not None:
            problem = _problem(example, self.scoring, self.parser)
            if problem is not None:
                raise DatasetError(f"reset option example cannot be played: {problem}")
        return example

    def format_prompt(self, example: Example) -> list[Message]:
        """The messages of the prompt, with the options of a question to choose from."""
        messages = super().format_prompt(example)
        if isinstance(self.scoring, Choice) and example.prompt is None:
            messages[-1]["content"] = with_options(messages[-1]["content"], self.scoring.options(example))
        return messages

    def oracle(self) -> str:
        """The gold answer in the format of the parser."""
        return self.parser.format_answer(self.scoring.gold_text(self._current()))


class _Check:
    """Finds what makes a row unplayable; what ``as_dataset`` asks of each row."""

    def __init__(self, scoring: Scoring, parser: Parser) -> None:
        self.scoring, self.parser = scoring, parser

    def __call__(self, example: Example) -> str | None:
        return _problem(example, self.scoring, self.parser)


def _problem(example: Example, scoring: Scoring, parser: Parser) -> str | None:
    problem = scoring.problem(example)
    if problem is not None:
        return problem
    gold = scoring.gold_text(example)
    try:
        parser.format_answer(gold)
    except ConfigError:
        return f"its answer {gold!r:.60} cannot be written for {parser!r}: choose another parser"
    return None


def _source(path: str | None) -> tuple[Path, tuple[int, int]]:
    """The file, and its size and time of change."""
    found = _SAMPLE if path is None else Path(path).expanduser().absolute()
    try:
        status = os.stat(found)
    except OSError:
        return found, (0, 0)  # as_dataset says what is wrong with it
    return found, (status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=8)
def _rows(
    path: Path,
    fingerprint: tuple[int, int],
    scoring: str,
    parser: str,
    answer_after: str | None,
    columns: tuple[tuple[str, str], ...],
    skip_bad: bool,
) -> Dataset:
    """The checked rows of a file, shared by all environments of a process that ask for them alike."""
    check = _Check(SCORINGS[scoring](answer_after), PARSERS[parser]())
    if path != _SAMPLE:
        return as_dataset(path, columns=dict(columns), skip_bad=skip_bad, check=check)
    return as_dataset(path).filter(_OfTask(_SAMPLE_TASKS.get(scoring, scoring)))


class _OfTask:
    """Whether a row of the sample is of a task."""

    def __init__(self, task: str) -> None:
        self.task = task

    def __call__(self, example: Example) -> bool:
        return example.task == self.task


def _named(argument: str, name: Any, known: Mapping[str, Any]) -> Any:
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"{argument} is {name!r:.60}: it must be one of {', '.join(known)}")
    return known[name]
