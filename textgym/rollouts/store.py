"""The run directory: every finished episode is on disk, whole, before the run goes on without it.

Layout::

    run.json          configuration, versions, wall time (written before the first completion is paid for)
    episodes.jsonl    one finished episode a line: {"key": …, "crc": …, "episode": {…}}
    lock              held by the one process that writes, with its pid

Invariant: a line counts only if it is complete and its checksum fits; the last valid line of a key wins; what
has no valid line is owed again. Lines are handed to a thread that writes and fsyncs them in groups, so that
neither the disk nor a burst of episodes holds up the event loop.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import platform
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from zlib import crc32

from textgym import jsontext
from textgym.errors import RunError, RunMismatch
from textgym.rollouts.directory_lock import DirectoryLock
from textgym.rollouts.line_writer import LineWriter
from textgym.rollouts.trajectory import SCHEMA, Trajectory

__all__ = ["SIZE", "RunDirectory", "Stored", "episode_key", "read", "work_digest"]

log = logging.getLogger(__name__)

_EPISODE = b',"episode":'


SIZE = "num_examples"
"""The one entry of a configuration that does not change the episodes: a longer run begins with a shorter one."""


def work_digest(config: Mapping[str, Any]) -> str:
    """Digest of everything in a configuration that decides the episodes.

    Returns:
        64 hexadecimal digits.
    """
    work = {name: value for name, value in config.items() if name != SIZE}
    return sha256(json.dumps(work, sort_keys=True, default=repr).encode("ascii")).hexdigest()


def episode_key(digest: str, group: int, sample: int) -> str:
    """Content key of an episode: equal for the same work, in any process.

    Args:
        digest: ``work_digest`` of the run's configuration.
        group: Index of the group.
        sample: Index of the member.

    Returns:
        32 hexadecimal digits.
    """
    return sha256(f"{digest}/{group}/{sample}".encode("ascii")).hexdigest()[:32]


class RunDirectory:
    """A run directory that this process writes. Use ``create`` or ``resume``, as a context manager.

    Attributes:
        path: The directory.
        config: The configuration of the run.
        done: Finished episodes found on resume, by key; failed ones are not among them.
        left_out: What had been begun and left out by then, by reason.
    """

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self._digest = work_digest(config)
        self._usual_kwargs: Any = None
        self.done: dict[str, Trajectory] = {}
        self.seconds = 0.0
        self.left_out: dict[str, int] = {}
        self._lock = DirectoryLock(path / "lock")
        self._writer: LineWriter | None = None

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any]) -> RunDirectory:
        """Begin a run directory.

        Args:
            path: The directory; parents are made.
            config: The resolved configuration, JSON types.

        Raises:
            RunError: It holds a run already, or cannot be written.
            RunLocked: Another process writes it.
        """
        directory = cls._open(path, config)
        episodes = directory.path / "episodes.jsonl"
        if episodes.exists() and episodes.stat().st_size:
            directory.close()
            raise RunError(
                f"{path} holds a run already: resume it (resume=True, --resume) or choose another directory"
            )
        directory._start()
        return directory

    @classmethod
    def resume(cls, path: str | Path, config: Mapping[str, Any]) -> RunDirectory:
        """Go on with a run directory, or begin it if there is nothing yet.

        A torn last line is cut off; failed episodes are owed again.

        Args:
            path: The directory.
            config: The resolved configuration, which must equal the stored one.

        Raises:
            RunMismatch: The configuration differs; the message shows where.
            RunError: It cannot be read or written.
            RunLocked: Another process writes it.
        """
        directory = cls._open(path, config)
        try:
            begun = (directory.path / "run.json").exists()
            episodes = directory.path / "episodes.jsonl"
            if not begun and episodes.exists() and episodes.stat().st_size:
                raise RunError(
                    f"{path} holds episodes and no run.json, so nobody knows which run they are of: choose "
                    "another directory"
                )
            if begun:
                head = _head(directory.path)
                _compare(head.get("config") or {}, directory.config, directory.path)
                directory.seconds = float(head.get("seconds") or 0.0)
                directory.left_out = dict(head.get("left_out") or {})
                _mend(episodes)
                for key, trajectory in _episodes(directory.path, directory.config):
                    if key != directory.key(trajectory.group_id, trajectory.sample):
                        continue  # of another run: it is left alone and counts for nothing
                    if trajectory.error is None:
                        directory.done[key] = trajectory
                    else:
                        directory.done.pop(key, None)
            directory._start()
        except BaseException:
            directory.close()
            raise
        return directory

    @classmethod
    def _open(cls, path: str | Path, config: Mapping[str, Any]) -> RunDirectory:
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            directory = cls(path, json.loads(json.dumps(dict(config), default=repr)))
            directory._lock.take()
        except FileExistsError as error:
            raise RunError(f"cannot write the run directory {path}: it is a file") from error
        except OSError as error:
            raise RunError(f"cannot write the run directory {path}: {error.strerror or error}") from error
        return directory

    def _start(self) -> None:
        try:
            self._write_head(self.seconds or None)
            self._writer = LineWriter(self.path / "episodes.jsonl")
        except OSError as error:
            self.close()
            raise RunError(
                f"cannot write the run directory {self.path}: {error.strerror or error}"
            ) from error

    def _write_head(self, seconds: float | None) -> None:
        import gymnasium
        import numpy

        import textgym

        head = {
            "schema": SCHEMA,
            "config": self.config,
            "versions": {
                "textgym": textgym.__version__,
                "gymnasium": gymnasium.__version__,
                "numpy": numpy.__version__,
                "python": platform.python_version(),
            },
            "seconds": seconds,
            **({"left_out": self.left_out} if self.left_out else {}),
        }
        replacement = self.path / "run.json.new"
        with replacement.open("w", encoding="utf-8") as file:
            json.dump(head, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        replacement.replace(self.path / "run.json")

    def key(self, group: int, sample: int) -> str:
        """Key of an episode of this run."""
        return episode_key(self._digest, group, sample)

    def append(self, trajectory: Trajectory) -> None:
        """Hand a finished episode to the disk.

        Raises:
            RunError: Writing failed, now or before (for instance because the disk is full).
        """
        if self._writer is None:
            raise RunError(f"{self.path} is closed")
        key = self.key(trajectory.group_id, trajectory.sample)
        record = trajectory.to_dict()
        kwargs = record["env_kwargs"]
        if kwargs is self._usual_kwargs or kwargs == self.config.get("env_kwargs"):
            self._usual_kwargs = kwargs  # compared once: they may hold a whole dataset
            del record["env_kwargs"]  # run.json has them
        body = jsontext.dumps(record, odd=repr)
        self._writer.put(b'{"key":"%s","crc":%d%s%s}\n' % (key.encode(), crc32(body), _EPISODE, body))

    def flush(self) -> None:
        """Wait until everything appended is on disk.

        Raises:
            RunError: Writing failed.
        """
        if self._writer is not None:
            self._writer.flush()

    def finish(self, seconds: float | None, left_out: Mapping[str, int] | None = None) -> float | None:
        """Flush, and note the wall time of the run.

        Args:
            seconds: Wall time of this session, or None if unknown.
            left_out: What was begun and left out, of all sessions together.

        Returns:
            The wall time of all sessions together, as it was noted.

        Raises:
            RunError: Writing failed.
        """
        self.flush()
        self.left_out = dict(left_out or {})
        if seconds is None:
            return None
        total = round(self.seconds + seconds, 3)
        self._write_head(total)
        return total

    def close(self) -> None:
        """Write what is pending and let go of the directory; calling it twice is fine."""
        try:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        finally:
            self._lock.release()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Stored(NamedTuple):
    """What a run directory holds."""

    trajectories: list[Trajectory]
    """The last valid record of each episode."""
    config: dict[str, Any]
    """What decided them."""
    seconds: float | None
    """Wall time of the run, or None if it was not finished."""
    left_out: dict[str, int]
    """What was begun and left no record: kind -> episodes."""


def read(path: str | Path) -> Stored:
    """Read a run directory.

    Args:
        path: The directory.

    Returns:
        What it holds.

    Raises:
        RunError: There is no run, or it cannot be read.
    """
    path = Path(path)
    head = _head(path)
    config = head.get("config") or {}
    trajectories = dict(_episodes(path, config))
    return Stored(list(trajectories.values()), config, head.get("seconds"), dict(head.get("left_out") or {}))


def _head(path: Path) -> dict[str, Any]:
    try:
        head = json.loads((path / "run.json").read_text("utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is no run directory: it has no run.json") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path / 'run.json'}: {error}") from error
    if not isinstance(head, dict):
        raise RunError(f"cannot read {path / 'run.json'}: it holds {type(head).__name__}, no object")
    return head


def _episodes(path: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, Trajectory]]:
    file = path / "episodes.jsonl"
    if not file.exists():
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            record = _record(line, config)
            if record is None:
                log.warning("%s line %d is torn or damaged: its episode is owed again", file, number)
            else:
                yield record


def _record(line: bytes, config: Mapping[str, Any]) -> tuple[str, Trajectory] | None:
    start = line.find(_EPISODE)
    if start < 0 or not line.endswith(b"}\n"):
        return None
    body = line[start + len(_EPISODE) : -2]
    try:
        head = jsontext.loads(line[:start] + b"}")
        if head["crc"] != crc32(body):
            return None
        record = {"env_kwargs": config.get("env_kwargs") or {}, **jsontext.loads(body)}
        return str(head["key"]), Trajectory.from_dict(record)
    except (KeyError, TypeError, ValueError):
        return None


def _mend(path: Path) -> None:
    """Cut off a torn last line, so that the next one does not grow onto it."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        data = file.read()
        if data and not data.endswith(b"\n"):
            file.truncate(data.rfind(b"\n") + 1)
            os.fsync(file.fileno())


def _compare(stored: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    if work_digest(stored) == work_digest(wanted):
        return
    before, after = (json.dumps(config, indent=2, sort_keys=True).splitlines() for config in (stored, wanted))
    changes = [
        line
        for line in difflib.unified_diff(before, after, "stored", "wanted", lineterm="", n=0)
        if not line.startswith("@@")
    ]
    raise RunMismatch(
        f"{path} holds a run with another configuration: resume it unchanged or choose another "
        "directory\n" + "\n".join(changes)
    )
