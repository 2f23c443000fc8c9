"""``textgym export RUN``: the episodes of a run directory as a file that other programs read.

``FORMATS`` is the registry: a further format is one entry. Invariant: the file is there whole or not at all,
and nothing that exists is overwritten unasked; the run directory is only read.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from textgym.cli import console
from textgym.cli.exits import Exit
from textgym.cli.suggestions import closest, did_you_mean
from textgym.errors import ConfigError, RunError
from textgym.jsontext import dumps

if TYPE_CHECKING:
    from textgym.rollouts import Trajectory

__all__ = ["FORMATS", "HELP", "Format", "add_arguments", "run"]

HELP = "Write the episodes of a run for other programs"

EPILOG = """\
fields: messages, prompt, completion, answer, reward, rewards, example_id, group_id, sample, stop_reason
(these by default), and completions, env_id, env_kwargs, seed, agent, metrics, success, turns, usage,
steps, tokens, error, policy, policy_version, seconds. `prompt` is the first observation and `completion`
the last answer; of several turns take `messages`, which has the whole conversation.

`--to tokens` writes one training row a segment: prompt_ids, completion_ids, mask, logprobs, spans,
rewards.

examples:
  textgym export runs/math --only solved --out solved.jsonl
  textgym export runs/math --fields messages,reward --sampled | head -n 1"""

Records = Callable[[Sequence["Trajectory"], argparse.Namespace], Iterable[Mapping[str, Any]]]
Write = Callable[[Iterable[Mapping[str, Any]], BinaryIO], None]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a run."""

    records: Records
    """Makes its records from the chosen trajectories and the command's arguments."""
    write: Write | None = None
    """Writes the records to a file; None for lines of JSON, which go to standard output as well."""


def _plain_records(
    trajectories: Sequence[Trajectory], arguments: argparse.Namespace
) -> Iterable[Mapping[str, Any]]:
    from textgym.rollouts.plain_records import DEFAULT_FIELDS, FIELDS, plain_record

    fields = DEFAULT_FIELDS if arguments.fields is None else _names(arguments.fields)
    for name in fields:
        if name not in FIELDS:
            hint = did_you_mean(closest(name, FIELDS)) or f": it must be one of {', '.join(FIELDS)}"
            raise ConfigError(f"there is no field {name!r}{hint}".rstrip())
    return (plain_record(trajectory, fields, sampled=arguments.sampled) for trajectory in trajectories)


def _names(text: str) -> tuple[str, ...]:
    """The fields that were asked for, each once."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ConfigError(f"--fields is {text!r}: it must be names with commas between, like messages,reward")
    return tuple(dict.fromkeys(names))


def _token_rows(
    trajectories: Sequence[Trajectory], arguments: argparse.Namespace
) -> Iterable[Mapping[str, Any]]:
    from textgym.rollouts.training_rows import token_rows

    if arguments.fields is not None:
        raise ConfigError("--fields belongs to --to jsonl: the rows of --to tokens always have the same")
    return (row.to_dict() for trajectory in trajectories for row in token_rows(trajectory))


FORMATS: dict[str, Format] = {"jsonl": Format(_plain_records), "tokens": Format(_token_rows)}
"""Name for ``--to`` -> format."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.epilog = EPILOG
    parser.add_argument("run", metavar="RUN", help="run directory, as --out has named it")
    parser.add_argument("--to", choices=tuple(FORMATS), default="jsonl", help="format (jsonl)")
    parser.add_argument("--out", metavar="FILE", default="-", help="where to; - is standard output (-)")
    parser.add_argument(
        "--only",
        choices=("valid", "solved", "all"),
        default="valid",
        help="episodes that did not fail (the default), those of them that succeeded, or really all",
    )
    parser.add_argument("--fields", metavar="A,B,…", help="fields of a record, in their order")
    parser.add_argument("--sampled", action="store_true", help="keep in messages which ones were sampled")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Write the file; returns the exit code.

    Raises:
        ConfigError: A field or the file is unusable, or the file exists.
        RunError: There is no run, or the file cannot be written.
    """
    from textgym.rollouts import Run
    from textgym.rollouts.plain_records import select

    form = FORMATS[arguments.to]
    target = _target(arguments, form)
    everything = Run.load(arguments.run)
    chosen = select(everything, arguments.only)
    records = form.records(chosen, arguments)
    if target is None:
        for record in records:
            console.out_json(record)
        console.flush()
    else:
        with _whole_file(target) as file:
            (form.write or _write_lines)(records, file)
    left = len(everything) - len(chosen)
    where = "" if target is None else f" to {target}"
    console.note(f"{len(chosen)} episodes{where}" + (f", {left} left out" if left else ""))
    return Exit.OK


def _target(arguments: argparse.Namespace, form: Format) -> Path | None:
    """The file to write, or None for standard output."""
    if arguments.out == "-":
        if form.write is not None:
            raise ConfigError(f"--to {arguments.to} is no text: say where it goes with --out FILE")
        return None
    target = Path(os.path.realpath(arguments.out))  # through links, which stay
    if not target.exists():
        if not target.parent.is_dir():
            raise ConfigError(f"cannot write {arguments.out}: there is no directory {target.parent}")
        return target
    if not target.is_file():
        raise ConfigError(
            f"cannot write {arguments.out}: it is no ordinary file (`--out -` is standard output)"
        )
    if target.parent == Path(os.path.realpath(arguments.run)):
        raise ConfigError(f"{arguments.out} belongs to the run itself: choose another file")
    if not arguments.force:
        raise ConfigError(f"{arguments.out} exists: --force overwrites it")
    return target


@contextmanager
def _whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when it is complete and on disk, and leaves nothing behind if it fails."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {target}: {error.strerror or error}") from error


def _write_lines(records: Iterable[Mapping[str, Any]], file: BinaryIO) -> None:
    for record in records:
        file.write(dumps(record) + b"\n")
