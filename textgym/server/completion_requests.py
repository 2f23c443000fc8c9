"""From the JSON body of OpenAI's protocol (with vLLM's fields) to what is asked of a local model.

Invariant: every field of these protocols that would change the answer is either understood or refused by name;
fields that nobody here knows are ignored, as most servers do. Nothing is sampled here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textgym.errors import ConfigError
from textgym.types import Message, Sampling

__all__ = ["MOST_CHOICES", "MOST_TOP_LOGPROBS", "Asked", "BadRequest", "chat_request", "text_request"]

MOST_CHOICES = 128
"""Most choices of one request."""
MOST_TOP_LOGPROBS = 20
"""Most alternatives that are reported a token."""

_SEEDS = 2**63
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (None, 0, 0.0),
    "presence_penalty": (None, 0, 0.0),
    "repetition_penalty": (None, 1, 1.0),
    "logit_bias": (None, {}),
    "best_of": (None, 1),
    "echo": (None, False),
    "suffix": (None, ""),
    "min_tokens": (None, 0),
    "length_penalty": (None, 1, 1.0),
    "use_beam_search": (None, False),
    "bad_words": (None, []),
    "allowed_token_ids": (None,),
    "truncate_prompt_tokens": (None,),
    "include_stop_str_in_output": (None, False),
    "skip_special_tokens": (None, True),
    "chat_template": (None,),
    "chat_template_kwargs": (None, {}),
    "response_format": (None, {"type": "text"}),
    "continue_final_message": (None, False),
    "add_generation_prompt": (None, True),
    "prompt_logprobs": (None,),
    "guided_choice": (None,),
    "guided_grammar": (None,),
    "guided_json": (None,),
    "guided_regex": (None,),
    "structured_outputs": (None,),
}
"""Fields that would change the answer and are not implemented, with the values that change nothing."""


class BadRequest(ConfigError):
    """A request that cannot be answered.

    Args:
        message: What is wrong with it.
        field: The field that is to blame.
        status: HTTP status.
    """

    def __init__(self, message: str, field: str | None = None, *, status: int = 400) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A checked request."""

    model: str | None
    """The model that was named."""
    chat: bool
    """Whether chat completions were asked for."""
    messages: list[Message]
    """The conversation, in chat."""
    tools: list[dict[str, Any]] | None
    """Tools for the chat template."""
    prompts: tuple[str | list[int], ...]
    """Texts or ids to continue, in text completions."""
    sampling: Sampling
    """How to sample."""
    seed: int | None
    """Seed of the first choice; the next one has the next seed."""
    choices: int
    """Completions of each prompt."""
    logprobs: bool
    """Whether log-probabilities are wanted."""
    top_logprobs: int
    """Alternatives a token."""
    token_ids: bool
    """Whether ids are wanted."""
    ids_as_tokens: bool
    """Whether tokens are to be named ``token_id:N``."""
    stream: bool
    """Whether the answer is to come in pieces."""
    stream_usage: bool
    """Whether the last piece says how many tokens there were."""

    def seed_of(self, choice: int) -> int | None:
        """The seed of one choice."""
        return None if self.seed is None else (self.seed + choice) % _SEEDS


def chat_request(body: Any) -> Asked:
    """Read the body of ``/v1/chat/completions``.

    Raises:
        BadRequest: A field is unusable; names it.
    """
    fields = _Fields(body)
    messages = fields.take("messages", list, [])
    if not messages:
        raise BadRequest("messages is missing or empty: it must be a list of chat messages", "messages")
    wanted = fields.take("logprobs", bool, False)
    top = fields.count("top_logprobs", 0, 0, MOST_TOP_LOGPROBS)
    tools = fields.take("tools", list, None)
    choice = fields.take("tool_choice", (str, dict), "auto")
    if choice not in ("auto", "none"):
        raise BadRequest(f"tool_choice is {choice!r:.60}: it must be 'auto' or 'none'", "tool_choice")
    if choice == "none":
        tools = None
    return fields.asked(
        chat=True,
        messages=[_message(message, place) for place, message in enumerate(messages)],
        tools=tools or None,
        prompts=(),
        logprobs=wanted,
        top_logprobs=top if wanted else 0,
        max_tokens=fields.count("max_completion_tokens", None, 1) or fields.count("max_tokens", None, 1),
    )


def text_request(body: Any) -> Asked:
    """Read the body of ``/v1/completions``.

    Raises:
        BadRequest: A field is unusable; names it.
    """
    fields = _Fields(body)
    if fields.take("stream", bool, False):
        raise BadRequest("stream is possible at /v1/chat/completions only", "stream")
    top = fields.count("logprobs", None, 0, MOST_TOP_LOGPROBS)
    return fields.asked(
        chat=False,
        messages=[],
        tools=None,
        prompts=_prompts(fields.body.get("prompt")),
        logprobs=top is not None,
        top_logprobs=top or 0,
        max_tokens=fields.count("max_tokens", 16, 1),  # OpenAI's and vLLM's default of this route
    )


def _prompts(prompt: Any) -> tuple[str | list[int], ...]:
    if isinstance(prompt, str) or (isinstance(prompt, list) and prompt and type(prompt[0]) is int):
        prompt = [prompt]
    if not isinstance(prompt, list) or not prompt:
        raise BadRequest("prompt must be a text, a list of token ids, or a list of these", "prompt")
    for one in prompt:
        if isinstance(one, str):
            continue
        if not isinstance(one, list) or not one or not all(type(token) is int for token in one):
            raise BadRequest(
                f"prompt holds {one!r:.60}: it must be a text, a list of token ids, or a list of these",
                "prompt",
            )
    if len(prompt) > MOST_CHOICES:
        raise BadRequest(f"prompt holds {len(prompt)} prompts, and {MOST_CHOICES} are allowed", "prompt")
    return tuple(prompt)


def _message(message: Any, place: int) -> Message:
    """One message with its content as a text, which is what chat templates render."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadRequest(
            f"messages[{place}] is {message!r:.60}: it must be an object with a role", "messages"
        )
    _check_calls(message.get("tool_calls"), place)
    content = message.get("content")
    if isinstance(content, list):
        texts: list[Any] = [part.get("text") if isinstance(part, dict) else part for part in content]
        if not all(isinstance(text, str) for text in texts):
            raise BadRequest(f"messages[{place}].content holds a part that is no text", "messages")
        return {**message, "content": "".join(texts)}
    if content is not None and not isinstance(content, str):
        raise BadRequest(f"messages[{place}].content is {content!r:.60}: it must be a text", "messages")
    return {**message, "content": content or ""}


def _check_calls(calls: Any, place: int) -> None:
    """Refuse tool calls that a chat template would stumble over."""
    if calls is None:
        return
    name = f"messages[{place}].tool_calls"
    if not isinstance(calls, list):
        raise BadRequest(f"{name} is {calls!r:.60}: it must be a list", "messages")
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if (
            not isinstance(function, dict)
            or not isinstance(function.get("name"), str)
            or not isinstance(function.get("arguments"), str | dict | None)
        ):
            raise BadRequest(
                f"{name} holds {call!r:.60}: it must be an object with function, an object with name (a text) and "
                "arguments (JSON as a text, or an object)",
                "messages",
            )


class _Fields:
    """A body whose fields are taken out one by one."""

    def __init__(self, body: Any) -> None:
        if not isinstance(body, dict):
            raise BadRequest(f"the body is {type(body).__name__}: it must be a JSON object")
        self.body = body
        for name, neutral in _NEUTRAL.items():
            if body.get(name) not in neutral:
                raise BadRequest(f"{name} is {body[name]!r:.60}: this server does not implement it", name)

    def take(self, name: str, kind: Any, default: Any) -> Any:
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            wanted = " or ".join(sorted({_NAMES[one] for one in kinds}))
            raise BadRequest(f"{name} is {value!r:.60}: it must be {wanted}", name)
        return value

    def count(self, name: str, default: int | None, least: int, most: int | None = None) -> Any:
        value = self.take(name, int, default)
        if value is not None and (value < least or (most is not None and value > most)):
            allowed = f"at least {least}" if most is None else f"in {least}..{most}"
            raise BadRequest(f"{name} is {value}: it must be {allowed}", name)
        return value

    def asked(self, *, max_tokens: int | None, **more: Any) -> Asked:
        seed = self.take("seed", int, None)
        if seed is not None and not -_SEEDS <= seed < _SEEDS:
            raise BadRequest(f"seed is {seed}: it must fit into 64 bits", "seed")
        stream = self.take("stream", bool, False)
        options = self.take("stream_options", dict, {})
        return Asked(
            model=self.take("model", str, None),
            sampling=self._sampling(max_tokens),
            seed=seed,
            choices=self.count("n", 1, 1, MOST_CHOICES),
            token_ids=self.take("return_token_ids", bool, False),
            ids_as_tokens=self.take("return_tokens_as_token_ids", bool, False),
            stream=stream,
            stream_usage=bool(options.get("include_usage")),
            **more,
        )

    def _sampling(self, max_tokens: int | None) -> Sampling:
        stop = self.take("stop", (str, list), ())
        stops = (stop,) if isinstance(stop, str) else tuple(stop)
        if not all(isinstance(one, str) for one in stops):
            raise BadRequest(f"stop is {stop!r:.60}: it must be a text or a list of texts", "stop")
        names = ("top_k", "min_p", "stop_token_ids", "ignore_eos")
        extra = {name: self.body[name] for name in names if self.body.get(name) is not None}
        values = {name: self.take(name, (int, float), None) for name in ("temperature", "top_p")}
        try:
            return Sampling(max_tokens=max_tokens, stop=stops, extra=extra, **values)
        except ConfigError as error:
            named = [name for name in values if f"sampling.{name} " in str(error)]
            raise BadRequest(str(error).removeprefix("sampling."), named[0] if named else None) from error


_NAMES: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
