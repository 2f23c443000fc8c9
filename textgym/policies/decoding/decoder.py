"""Decoder: the one thread that runs a model, for requests from any thread or event loop.

Between two tokens requests join the batch and leave it, and whoever changes the weights does so there.
Invariant: every job's future is resolved exactly once, whatever the model does; and no two threads are
inside the model or its weights at the same time. It knows ids only: no messages, no templates.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import InvalidStateError
from contextlib import contextmanager
from typing import Any

from textgym.errors import PolicyError
from textgym.policies.decoding.choice import choose
from textgym.policies.decoding.forward import Batch, Forward, Layers
from textgym.policies.decoding.job import Job
from textgym.policies.decoding.prefixes import Prefixes
from textgym.policies.decoding.trial import try_model
from textgym.types import FinishReason

__all__ = ["Decoder"]

log = logging.getLogger(__name__)

_MOST_PREFILL = 16384
"""Most tokens (padding included) that are read in one pass, so that a crowd of long prompts does not need
all memory at once; a single longer prompt is read whole."""
_PATIENCE = 10.0


class Decoder:
    """Decodes jobs in batches.

    Args:
        model: A causal language model of transformers.
        max_batch: Most rows that are decoded together.
        prefix_bytes: Memory for the caches of finished completions; 0 keeps none.
        version: Version of the weights.
        longest: Most tokens that a row will have; None if unknown.

    Raises:
        ConfigError: The model, decoded like this, predicts something else than in one full pass.
    """

    def __init__(
        self, model: Any, *, max_batch: int, prefix_bytes: int, version: int = 0, longest: int | None = None
    ) -> None:
        self.forward = Forward(model, longest)
        try_model(self.forward)
        self.version = version
        """Version of the weights; changes inside ``updating`` only."""
        self._max_batch = max_batch
        self._prefixes = Prefixes(0 if self.forward.rigid else prefix_bytes)
        self._waiting: deque[Job] = deque()
        self._jobs: list[Job] = []
        self._batch = Batch(self.forward)
        self._turn = threading.Condition()
        self._updates = threading.Lock()
        self._updater: int | None = None
        self._thread: threading.Thread | None = None
        self._pauses, self._stepping, self._closed = 0, False, False

    # ------------------------------------------------------------------ for any thread

    def submit(self, job: Job) -> None:
        """Put a job into the queue.

        Raises:
            PolicyError: The decoder is closed.
        """
        with self._turn:
            if self._closed:
                raise PolicyError("the policy is closed: make a new TransformersPolicy")
            self._waiting.append(job)
            if self._thread is None or not self._thread.is_alive():  # a forked child has none
                self._thread = threading.Thread(target=self._run, name="textgym-decoder", daemon=True)
                self._thread.start()
            self._turn.notify_all()

    @contextmanager
    def updating(self, version: int | None = None) -> Iterator[Any]:
        """Nothing is decoded while the block runs; afterwards everything is computed with the new weights.

        Completions on their way keep what they have sampled and go on from there; their caches are computed
        anew.

        Args:
            version: The new version; None counts one up.

        Yields:
            The model.

        Raises:
            RuntimeError: This thread is inside such a block already.
        """
        if self._updater == threading.get_ident():
            raise RuntimeError(
                "updating() is open already in this thread: change the model that it yields, and the version is "
                "counted once, when the block ends"
            )
        with self._updates, self._paused():
            self._updater = threading.get_ident()
            try:
                yield self.forward.model
            finally:  # even a failed update may have changed some weights
                self._updater = None
                self.version = self.version + 1 if version is None else version
                self._prefixes.clear()
                with self._turn:
                    self._waiting.extendleft(reversed(self._jobs))
                self._forget()

    def forget_prefixes(self) -> None:
        """Give back the memory of kept caches."""
        with self._paused():
            self._prefixes.clear()

    def close(self) -> None:
        """End the thread; jobs that are not finished fail. Harmless when it is closed already."""
        with self._turn:
            self._closed = True
            thread = self._thread
            self._turn.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE)

    @contextmanager
    def _paused(self) -> Iterator[None]:
        if threading.current_thread() is self._thread:
            raise RuntimeError("the decoder's own thread cannot wait for itself: update from another thread")
        with self._turn:
            self._pauses += 1
            while self._stepping:
                self._turn.wait()
        try:
            yield
        finally:
            with self._turn:
                self._pauses -= 1
                self._turn.notify_all()

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            with self._turn:
                while not self._closed and (self._pauses or not (self._waiting or self._jobs)):
                    self._turn.wait()
                if self._closed:
                    break
                self._stepping = True
            try:
                self._step()
            except Exception as error:
                log.debug("a decoding step failed", exc_info=True)
                self._fail(f"the model failed: {type(error).__name__}: {error}", error)
            finally:
                with self._turn:
                    self._stepping = False
                    self._turn.notify_all()
        with self._turn:
            self._jobs.extend(self._waiting)
            self._waiting.clear()
        self._fail("the policy was closed before this completion was finished")
        self._prefixes.clear()

    def _step(self) -> None:
        self._leave(_cancelled(self._jobs))
        if not (self._jobs and self.forward.rigid):
            self._admit()
        if not self._jobs:
            return
        if self._batch.lengths[0] == self.forward.switch:  # such rows have one length, and cross it together
            rows = [job.prompt + job.ids for job in self._jobs]
            self._batch, logits = Batch.begin(self.forward, rows, [None] * len(rows))
        else:
            logits = self._batch.step([job.ids[-1] for job in self._jobs])
        self._advance(logits)

    def _admit(self) -> None:
        """Read the prompts of some waiting jobs, draw their first tokens and let them join."""
        jobs, known = self._newcomers()
        if not jobs:
            return
        here, there = (self._jobs, self._batch), (jobs, Batch(self.forward))
        self._jobs, self._batch = there  # a failure fails the newcomers alone
        try:
            for job in jobs:
                self._equip(job)
            rows = [job.prompt + job.ids for job in jobs]
            first = {tuple(row): at for at, row in reversed(list(enumerate(rows)))}
            unique = sorted(first.values())  # members of a group begin with one prompt: read it once
            self._batch, logits = Batch.begin(
                self.forward, [rows[at] for at in unique], [known[at] for at in unique]
            )
            spread = [unique.index(first[tuple(row)]) for row in rows]
            self._batch.select(spread)
            self._advance(logits[spread])
        except Exception as error:
            self._fail(f"the model failed: {type(error).__name__}: {error}", error)
        finally:
            (jobs, batch), (self._jobs, self._batch) = (self._jobs, self._batch), here
        if jobs:
            self._batch.join(batch)
            self._jobs = self._jobs + jobs

    def _newcomers(self) -> tuple[list[Job], list[Layers | None]]:
        jobs: list[Job] = []
        known: list[Layers | None] = []
        longest = 0
        with self._turn:
            while self._waiting and len(self._jobs) + len(jobs) < self._max_batch:
                job = self._waiting[0]
                if job.future.cancelled():
                    self._waiting.popleft()
                    continue
                ids = job.prompt + job.ids
                layers = self._prefixes.find(ids)
                fresh = len(ids) - (0 if layers is None else layers[0][0].shape[1])
                crowded = max(longest, fresh) * (len(jobs) + 1) > _MOST_PREFILL
                unlike = self.forward.rigid and jobs and len(ids) != len(jobs[0].prompt) + len(jobs[0].ids)
                # Rows that continue a kept cache are not mixed with rows that would make them start over.
                if jobs and (crowded or unlike or (layers is None) != (known[0] is None)):
                    break
                jobs.append(self._waiting.popleft())
                known.append(layers)
                longest = max(longest, fresh)
        return jobs, known

    def _equip(self, job: Job) -> None:
        if job.generator is None:
            import torch

            job.generator = torch.Generator(self.forward.device)
            job.generator.seed() if job.seed is None else job.generator.manual_seed(job.seed)

    def _advance(self, logits: Any) -> None:
        """Draw a token for every row and let the finished ones go."""
        finished: dict[int, FinishReason] = {}
        broken: dict[int, PolicyError] = {}
        for row, (job, token) in enumerate(zip(self._jobs, choose(logits, self._jobs), strict=True)):
            if job.version is None:
                job.version = self.version
            if not -float("inf") < token.logprob <= 1e-3:
                broken[row] = PolicyError(
                    f"the model gave no probabilities (log-probability {token.logprob}) at token "
                    f"{len(job.ids)} of a completion: its weights or activations are not finite"
                )
                continue
            try:
                reason = job.take(token)
            except Exception as error:  # its tokenizer's or its watcher's
                broken[row] = _unfinished(error)
                continue
            if reason is not None:
                finished[row] = reason
        for row in finished:
            job = self._jobs[row]
            if self._prefixes.enabled and not job.future.cancelled():
                self._prefixes.keep([*job.prompt, *job.ids[:-1]], self._batch.row(row))
        gone = [(self._jobs[row], reason) for row, reason in finished.items()]
        failed = [(self._jobs[row], problem) for row, problem in broken.items()]
        self._leave({*finished, *broken})
        for job, reason in gone:
            _resolve(job, reason)
        for job, problem in failed:
            _reject(job, problem)

    def _leave(self, rows: set[int]) -> None:
        if not rows:
            return
        stay = [row for row in range(len(self._jobs)) if row not in rows]
        self._batch.select(stay)
        self._jobs = [self._jobs[row] for row in stay]

    def _forget(self) -> None:
        self._jobs, self._batch = [], Batch(self.forward)

    def _fail(self, message: str, cause: Exception | None = None) -> None:
        jobs = self._jobs
        self._forget()
        for job in jobs:
            error = PolicyError(message)
            error.__cause__ = cause
            _reject(job, error)


def _cancelled(jobs: list[Job]) -> set[int]:
    return {row for row, job in enumerate(jobs) if job.future.cancelled()}


def _unfinished(cause: Exception) -> PolicyError:
    error = PolicyError(
        f"making text of a completion, or reporting its token, failed: {type(cause).__name__}: {cause}"
    )
    error.__cause__ = cause
    return error


def _resolve(job: Job, reason: FinishReason) -> None:
    try:
        result = job.result(reason)
    except Exception as error:
        _reject(job, _unfinished(error))
        return
    try:
        job.future.set_result(result)
    except InvalidStateError:  # cancelled in this moment
        pass


def _reject(job: Job, error: Exception) -> None:
    try:
        job.future.set_exception(error)
    except InvalidStateError:
        pass
