"""Which facts about tokens a model server tells, and how it wants to be asked for them.

A *dialect* is one way of asking. ``Capture`` finds the best dialect that a server speaks by asking for one token,
once for each form of request, and remembers it; a server that knows none still answers in text.

Invariant: what is asked for is never assumed to be there: every reply is read for itself, and an id that a server
did not report is never made up. This module neither sends nor parses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from textgym.errors import AuthenticationFailed, PolicyError, ProviderFailed, ProviderRejected
from textgym.types import Completion, CompletionRequest, Sampling

__all__ = [
    "DIALECTS",
    "PLAIN",
    "Capture",
    "CaptureLevel",
    "Dialect",
    "Form",
    "probe_request",
    "without_lengths",
]

_log = logging.getLogger("textgym.policies.openai")
_PROBE_IDS = 8
_LENGTHS = frozenset(["best_of", "max_completion_tokens", "max_new_tokens", "max_tokens", "min_tokens", "n"])


class CaptureLevel(StrEnum):
    """How much a server tells about the tokens of a completion."""

    TOKENS = "tokens"
    """The ids of the prompt and of the completion: what training needs."""
    LOGPROBS = "logprobs"
    """Log-probabilities without ids: enough to look at, not to train on."""
    TEXT = "text"
    """Nothing but the text."""


class Form(StrEnum):
    """What a request continues."""

    CHAT = "chat"
    """Messages, which the server renders."""
    PROMPT = "prompt"
    """A text, which the server encodes."""
    IDS = "ids"
    """Token ids, exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way of asking for a completion and its tokens."""

    name: str
    """For messages."""
    route: str
    """Path below the base URL; with a leading slash, below the server's root (the base URL without ``/v1``)."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What is added to the body."""


_CHAT, _COMPLETIONS = "chat/completions", "completions"
PLAIN: Mapping[Form, Dialect] = {
    Form.CHAT: Dialect(name="text", route=_CHAT),
    Form.PROMPT: Dialect(name="text", route=_COMPLETIONS),
}
"""How to ask for text alone. Ids are never sent to a server that does not answer with ids."""

DIALECTS: Mapping[Form, tuple[Dialect, ...]] = {
    Form.CHAT: (
        Dialect(
            name="vLLM's return_token_ids",  # and, for chat, SGLang's since July 2026
            route=_CHAT,
            fields={"return_token_ids": True, "logprobs": True, "top_logprobs": 0},
        ),
        Dialect(
            name="SGLang's return_meta_info",
            route=_CHAT,
            fields={"return_meta_info": True, "return_prompt_token_ids": True, "logprobs": True},
        ),
        Dialect(name="OpenAI's logprobs", route=_CHAT, fields={"logprobs": True, "top_logprobs": 0}),
    ),
    Form.PROMPT: (
        Dialect(
            name="vLLM's return_token_ids",
            route=_COMPLETIONS,
            fields={"return_token_ids": True, "logprobs": 0},
        ),
        Dialect(name="OpenAI's logprobs", route=_COMPLETIONS, fields={"logprobs": 0}),
    ),
    Form.IDS: (
        Dialect(
            name="vLLM's return_token_ids",
            route=_COMPLETIONS,
            fields={"return_token_ids": True, "logprobs": 0},
        ),
        Dialect(name="SGLang's /generate", route="/generate"),
    ),
}
"""The dialects of each form, the most telling first."""


class Capture:
    """Finds out, for one event loop, which dialect the servers of a policy speak.

    Several servers are taken to be alike: the one that answers is asked for all.

    Args:
        known: What has been found, kept by the policy and shared by its loops.
        source: Names model and servers, for messages.
    """

    def __init__(self, known: dict[Form, tuple[Dialect | None, CaptureLevel]], source: str) -> None:
        self._known = known
        self._source = source
        self._asking: dict[Form, asyncio.Task[Dialect | None]] = {}
        self._refused_ids = ""
        self._closed = False

    async def dialect(self, form: Form, ask: Callable[[Dialect], Awaitable[Completion]]) -> Dialect | None:
        """The dialect to use from now on.

        Args:
            form: What the requests continue.
            ask: Sends a request for one token in a dialect. It is called until a reply tells all, by whoever comes
                first; the others wait.

        Returns:
            The dialect, or None where the server does not continue token ids.

        Raises:
            PolicyError: The policy was closed meanwhile, or the server cannot be asked now, refuses the plain
                request as well, or tells tokens in a wrong shape. Nothing is remembered then.
        """
        if form in self._known:
            return self._known[form][0]
        task = self._asking.get(form)
        if task is None:
            task = self._asking[form] = asyncio.create_task(self._find(form, ask))
            task.add_done_callback(lambda done: self._done(form, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not self._closed:
                raise
            raise PolicyError(
                f"{self._source}: the policy was closed while a request was under way"
            ) from None

    def forget(self, form: Form) -> None:
        """Ask again before the next request: this one was refused, and the server may be another by now."""
        self._known.pop(form, None)

    def leave_ids(self) -> None:
        """Remember that the servers do not continue token ids, now that they answer otherwise."""
        if Form.IDS not in self._known:
            self._known[Form.IDS] = (None, CaptureLevel.TEXT)
            _log.warning(
                "%s does not continue token ids (%s): it renders the conversation itself",
                self._source,
                self._refused_ids,
            )

    def close(self) -> None:
        """Stop asking; whoever waits for an answer gets a ``PolicyError``."""
        self._closed = True
        for task in self._asking.values():
            task.cancel()

    def _done(self, form: Form, task: asyncio.Task[Dialect | None]) -> None:
        self._asking.pop(form, None)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody may be left

    async def _find(self, form: Form, ask: Callable[[Dialect], Awaitable[Completion]]) -> Dialect | None:
        found, best, last = PLAIN.get(form), 0, "the reply holds no token ids"
        for dialect in DIALECTS[form]:
            try:
                worth = _worth(form, await ask(dialect))
            except AuthenticationFailed:
                raise
            except ProviderRejected as error:
                last = str(error)
                continue
            except ProviderFailed as error:
                if error.status not in (500, 501):
                    raise
                last = str(error)
                continue
            if worth > best:
                found, best = dialect, worth
            if best == _ALL:
                break
        if form is Form.IDS and best < _IDS:
            self._refused_ids = last
            return None  # not remembered: perhaps the server answers nothing at all
        if best == 0 and found is not None:
            await ask(found)  # if this is refused too, it was not for the tokens' sake
        level = (CaptureLevel.TEXT, CaptureLevel.LOGPROBS, CaptureLevel.TOKENS, CaptureLevel.TOKENS)[best]
        self._known[form] = (found, level)
        self._tell(best, level, last)
        return found

    def _tell(self, best: int, level: CaptureLevel, last: str) -> None:
        if level is not CaptureLevel.TOKENS:
            what = "log-probabilities without ids" if level is CaptureLevel.LOGPROBS else "text alone"
            _log.warning(
                "%s tells %s, so that its trajectories hold no tokens and cannot be trained on (%s). vLLM, SGLang "
                "and `textgym serve-model` tell them",
                self._source,
                what,
                last,
            )
        elif best < _ALL:
            _log.warning("%s tells token ids without log-probabilities", self._source)


_IDS, _ALL = 2, 3


def _worth(form: Form, completion: Completion) -> int:
    """0 text, 1 log-probabilities, 2 ids, 3 both. Ids without those of the prompt are worth nothing."""
    prompt_known = form is Form.IDS or completion.prompt_token_ids is not None
    ids = completion.token_ids is not None and prompt_known
    return 2 * ids + (completion.logprobs is not None)


def probe_request(request: CompletionRequest) -> CompletionRequest:
    """A request for one token, in the form of another and with its special fields.

    Args:
        request: The first request of a policy.
    """
    ids = None if request.prompt_ids is None else request.prompt_ids[:_PROBE_IDS]
    return CompletionRequest(
        messages=[{"role": "user", "content": "hi"}] if request.messages else [],
        prompt=None if request.prompt is None else "hi",
        prompt_ids=ids,
        sampling=Sampling(max_tokens=1, extra=without_lengths(request.sampling.extra)),
    )


def without_lengths(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that may stand beside ``max_tokens=1`` in a request for one token."""
    return {name: value for name, value in fields.items() if name not in _LENGTHS}
