"""Rules of playing at the same time: threads, one event loop, another process.

Invariant: everything is compared with the episodes that were played alone, call by call.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from textgym.rollouts.stepping import areset, astep, atruncate
from textgym.testing.rules.play import Play, Turn, difference, fixed, play
from textgym.testing.rules.repetition import expect_same
from textgym.testing.rules.rule import Broken, Untested, rule
from textgym.testing.rules.subject import Episodes, Subject
from textgym.types import StopReason

__all__: list[str] = []

WHEN = "deterministic"
THREADS = 8


@rule("in-threads", "3.6", needs=("interleaved",), waived_unless=WHEN)
def in_threads(subject: Subject) -> str:
    """Instances that are played in eight threads at once give the same episodes."""
    references = subject.references
    observed: list[Play | None] = [None] * THREADS
    barrier = threading.Barrier(THREADS)

    def work(index: int) -> None:
        one = references[index % len(references)]
        env = subject.maker()
        barrier.wait(timeout=30)
        observed[index] = play(env, one.seed, fixed(one.actions))
        env.close()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # switch as often as possible
    try:
        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    for index, record in enumerate(observed):
        if record is None:
            raise Broken(f"the environment could not be made or played in thread {index}")
        expect_same(record, references[index % len(references)], f"in one of {THREADS} threads")
    return f"{THREADS} threads"


@rule("in-async", "3.6, 3.10", needs=("interleaved",), waived_unless=WHEN)
def in_async(subject: Subject) -> str:
    """``areset`` and ``astep`` give the same episodes, with many at once on one event loop."""
    references = subject.references

    async def everything() -> list[Play]:
        return list(await asyncio.gather(*(_aplay(subject.make(), one) for one in references)))

    for one, record in zip(references, _in_new_loop(everything), strict=True):
        expect_same(record, one, "through areset and astep, beside others on one loop")
    return f"{len(references)} at once"


async def _aplay(env: Any, reference: Play) -> Play:
    record = Play(reference.seed)
    try:
        record.observation, record.info = await areset(env, seed=reference.seed)
        for action in reference.actions:
            await asyncio.sleep(0)  # let the others go on
            record.turns.append(Turn(action, *await astep(env, action)))
    except Exception as error:
        record.error = f"{type(error).__name__}: {error}"
    return record


def _in_new_loop(function: Any) -> Any:
    """Run a coroutine function, also where the caller's thread has a loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(function())
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(asyncio.run(function())))
    thread.start()
    thread.join()
    return result[0]


@rule("async-truncate", "3.4, 3.10", needs=("in-async",), attributes=("truncate",), waived_unless=WHEN)
def async_truncate(subject: Subject) -> None:
    """``atruncate`` does what ``truncate`` does."""

    async def truncated() -> tuple[Any, Any]:
        env = subject.make()
        first = await areset(env, seed=0)
        return first, await atruncate(env, StopReason.SECONDS)

    env = subject.make()
    expected = env.reset(seed=0), env.get_wrapper_attr("truncate")("seconds")
    found = difference(expected, _in_new_loop(truncated))
    if found:
        raise Broken(f"areset(seed=0) and atruncate('seconds'): {found}")


@rule("sync-within-loop", "3.10", needs=("interleaved",), waived_unless=WHEN)
def sync_within_loop(subject: Subject) -> None:
    """``reset`` and ``step`` work where an event loop is running, as in a notebook."""

    async def everything() -> list[Play]:
        return [play(subject.make(), one.seed, fixed(one.actions)) for one in references]

    references = subject.references[:3]
    for one, record in zip(references, _in_new_loop(everything), strict=True):
        expect_same(record, one, "with reset and step in a coroutine")


_CHILD = """
import pickle, sys
out, sys.stdout = sys.stdout.buffer, sys.stderr
sys.path[:], job = pickle.load(sys.stdin.buffer)
import cloudpickle
out.write(pickle.dumps(cloudpickle.loads(job)()))
"""


@rule("another-process", "3.6", needs=("interleaved",), waived_unless=WHEN, slow=True)
def another_process(subject: Subject) -> str:
    """A fresh process with another hash seed gives the same episodes."""
    if not sys.executable:
        raise Untested("there is no Python executable to start")
    references = subject.references
    job = Episodes(subject.maker, [(one.seed, one.actions) for one in references])
    try:
        payload = pickle.dumps((sys.path, cloudpickle.dumps(job)))
    except Exception as error:
        raise Untested(f"the factory cannot be pickled: {type(error).__name__}: {error}") from error
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=payload,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        timeout=60,
        check=False,
    )
    if done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Broken(f"it failed in another process: {text[-1] if text else done.returncode}")
    for one, record in zip(references, pickle.loads(done.stdout), strict=True):
        expect_same(record, one, "in another process with PYTHONHASHSEED=4242")
    return f"{len(references)} episodes"
