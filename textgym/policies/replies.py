"""From the bytes of a reply to a ``Completion``, checking every field on the way.

Invariant: what comes out has exactly the types that ``Completion`` states, its ids and
log-probabilities are usable for training or None, and its text can be encoded. A body that is no
JSON object, or an error dressed as a success, is ``ProviderFailed`` (another attempt may help); a
wrong field is ``MalformedResponse`` and named. Nothing is invented: absent stays None.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from textgym.errors import ContextOverflow, MalformedResponse, ProviderFailed
from textgym.jsontext import loads, printable
from textgym.policies.refusals import error_text, excerpt, refusal
from textgym.tokens.arrays import MISSING_LOGPROB, bad_logprobs
from textgym.types import Completion, FinishReason, ToolCall, Usage

__all__ = ["parse_reply"]

_FINISH_REASONS = {reason.value: reason for reason in FinishReason} | {
    "max_tokens": FinishReason.LENGTH,
    "function_call": FinishReason.TOOL_CALLS,
    "safety": FinishReason.CONTENT_FILTER,
    "cancelled": FinishReason.ABORT,
}
_MOST_CALLS = 1024
_NO_USAGE = Usage()


def parse_reply(
    body: bytes, source: str, *, include_reasoning: bool = False, secret: str | None = None
) -> Completion:
    """Read a chat or text completion.

    Args:
        body: The body of a reply with status 2xx.
        source: Names model and URL, for messages.
        include_reasoning: Put the reasoning, in ``<think>`` tags, before the text.
        secret: The API key, to be kept out of messages.

    Returns:
        The first choice. An unknown finish reason counts as ``stop``.

    Raises:
        ProviderFailed: The body is no JSON object, or holds an error.
        ContextOverflow: It holds the error that the prompt is too long.
        MalformedResponse: A field has the wrong shape.
    """
    try:
        document = loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed(f"the reply is no JSON: {excerpt(body, secret)}") from error
    if type(document) is not dict:
        raise ProviderFailed(f"the reply is no JSON object: {excerpt(body, secret)}")
    if "meta_info" in document and "choices" not in document:
        document = _from_generate(document, source)
    choices = document.get("choices")
    if type(choices) is not list or not choices:
        _no_choices(document, body, source, secret)
    choice = choices[0]
    if type(choice) is not dict:
        _wrong(source, "choices[0]", choice, "an object")
    message = choice.get("message")
    if type(message) is dict:
        text = _text(message.get("content"), "message.content", source)
        reasoning = _reasoning(message, source)
        calls = message.get("tool_calls")
        tool_calls = _tool_calls(calls, source) if calls else ()
    elif message is None and "text" in choice:
        text = _text(choice["text"], "text", source)
        reasoning, tool_calls = None, ()
    else:
        _wrong(source, "choices[0].message", message, "an object")
    if include_reasoning and reasoning is not None:
        text = f"<think>\n{reasoning}\n</think>\n\n{text}"
    token_ids, logprobs, prompt_ids = _tokens(document, choice, source)
    if token_ids is not None and not token_ids.size and text:
        _wrong(source, "choices[0].token_ids", [], "the ids of the text that came with it")
    reason = choice.get("finish_reason")
    return Completion(
        text=text,
        reasoning=reasoning,
        tool_calls=tool_calls,
        token_ids=token_ids,
        logprobs=logprobs,
        prompt_token_ids=prompt_ids,
        finish_reason=(
            _FINISH_REASONS.get(reason, FinishReason.STOP) if type(reason) is str else FinishReason.STOP
        ),
        usage=_usage(document.get("usage")),
    )


def _from_generate(document: dict[str, Any], source: str) -> dict[str, Any]:
    """A reply of SGLang's ``/generate`` in the shape of a text completion."""
    meta = document["meta_info"]
    if type(meta) is not dict:
        _wrong(source, "meta_info", meta, "an object")
    reason = meta.get("finish_reason")
    choice = {
        "text": document.get("text"),
        "meta_info": meta,
        "finish_reason": reason.get("type") if type(reason) is dict else reason,
    }
    return {"choices": [choice], "usage": meta}


def _no_choices(document: dict[str, Any], body: bytes, source: str, secret: str | None) -> NoReturn:
    """An error with status 200 is a failure of the server; anything else is malformed."""
    if document.get("error"):
        disguised = refusal(400, body, {}, source=source, secret=secret)
        if isinstance(disguised, ContextOverflow):
            raise disguised
        said = error_text(document)[0] or body
        raise ProviderFailed(f"HTTP 200 with an error: {excerpt(said, secret)}", status=200)
    _wrong(source, "choices", document.get("choices"), "a list of at least one object")


def _wrong(source: str, field: str, value: Any, wanted: str) -> NoReturn:
    shown = excerpt(f"{value!r:.80}")
    raise MalformedResponse(f"{source}: {field} of the reply is {shown}, not {wanted}", status=200)


def _text(content: Any, field: str, source: str) -> str:
    """The text of a message: a string, null, or a list of parts."""
    if type(content) is str:
        return content if content.isascii() else printable(content)
    if content is None:
        return ""
    if type(content) is list:
        texts = []
        for part in content:
            text = part.get("text") if type(part) is dict else part
            if type(text) is not str:
                _wrong(source, f"choices[0].{field}", part, "a text part")
            texts.append(text)
        return printable("".join(texts))
    _wrong(source, f"choices[0].{field}", content, "a string, null or a list of text parts")


def _reasoning(message: dict[str, Any], source: str) -> str | None:
    for name in ("reasoning_content", "reasoning"):
        value = message.get(name)
        if value is not None:
            return _text(value, f"message.{name}", source)
    return None


def _tool_calls(calls: Any, source: str) -> tuple[ToolCall, ...]:
    field = "choices[0].message.tool_calls"
    if type(calls) is not list or len(calls) > _MOST_CALLS:
        _wrong(source, field, calls, f"a list of at most {_MOST_CALLS} calls")
    parsed = []
    for index, call in enumerate(calls):
        function = call.get("function") if type(call) is dict else None
        if type(function) is not dict:
            _wrong(source, f"{field}[{index}]", call, "an object with a function")
        values = (call.get("id"), function.get("name"), function.get("arguments"))
        for name, value in zip(("id", "function.name", "function.arguments"), values, strict=True):
            if type(value) is not str:
                _wrong(source, f"{field}[{index}].{name}", value, "a string")
        identifier, name, arguments = map(printable, values)
        parsed.append(ToolCall(id=identifier, name=name, arguments=arguments))
    return tuple(parsed)


def _usage(usage: Any) -> Usage:
    if type(usage) is not dict:
        return _NO_USAGE
    read, sampled = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if type(read) is not int or read < 0:
        read = None
    if type(sampled) is not int or sampled < 0:
        sampled = None
    return Usage(prompt_tokens=read, completion_tokens=sampled)


def _tokens(document: dict[str, Any], choice: dict[str, Any], source: str) -> tuple[Any, Any, Any]:
    """Sampled ids, their log-probabilities and the prompt's ids; None for what is absent."""
    ids, table = choice.get("token_ids"), choice.get("logprobs")
    prompt = document.get("prompt_token_ids")
    if prompt is None:
        prompt = choice.get("prompt_token_ids")
    meta = choice.get("meta_info")
    if ids is None and type(meta) is dict and meta.get("output_token_logprobs") is not None:
        ids, table = _pairs(meta["output_token_logprobs"], source)
    if ids is None and table is None and prompt is None:
        return None, None, None
    token_ids = None if ids is None else _ids(ids, "choices[0].token_ids", source)
    prompt_ids = None if prompt is None else _ids(prompt, "prompt_token_ids", source)
    logprobs = _logprobs(table, source) if table else None
    if token_ids is not None and logprobs is not None and len(token_ids) != len(logprobs):
        raise MalformedResponse(
            f"{source}: choices[0].logprobs of the reply has {len(logprobs)} entries for "
            f"{len(token_ids)} entries of choices[0].token_ids",
            status=200,
        )
    return token_ids, logprobs, prompt_ids


def _pairs(rows: Any, source: str) -> tuple[list[Any], dict[str, Any]]:
    """SGLang's rows of (log-probability, id, text) as ids and a table of log-probabilities."""
    try:
        return [row[1] for row in rows], {"token_logprobs": [row[0] for row in rows]}
    except (TypeError, LookupError):
        _wrong(source, "meta_info.output_token_logprobs", rows, "a list of (logprob, id) rows")


def _ids(values: Any, field: str, source: str) -> Any:
    array = _array(values, "i", field, source, "a list of token ids")
    if array.size and not (array.min() >= 0 and array.max() < 2**31):
        _wrong(source, field, values, "a list of ids in [0, 2**31)")
    return array.astype(np.int32)


def _logprobs(table: Any, source: str) -> Any:
    field = "choices[0].logprobs"
    values: Any = None
    if type(table) is dict:
        values = table.get("token_logprobs")
        field += ".token_logprobs" if values is not None else ".content"
        if values is None and table.get("content") is None:
            return None
        if values is None:
            rows = table["content"]
            try:
                values = [row["logprob"] for row in rows]
            except (TypeError, KeyError):
                _wrong(source, field, rows, "a list of objects with a logprob")
    with np.errstate(over="ignore"):
        array = _array(values, "if", field, source, "a list of numbers").astype(np.float32)
    bad = bad_logprobs(array)
    if bad.any():
        at = int(bad.argmax())
        wanted = f"a finite log-probability of at most 0, other than {MISSING_LOGPROB:g}"
        _wrong(source, f"{field}[{at}]", values[at], wanted)
    return array


def _array(values: Any, kinds: str, field: str, source: str, wanted: str) -> Any:
    """A flat list of numbers as an array, without numpy's readiness to convert anything."""
    if type(values) is not list:
        _wrong(source, field, values, wanted)
    if not values:
        return np.zeros(0, dtype=np.int64)
    try:
        array = np.array(values)
    except (ValueError, OverflowError):
        array = np.array(None)
    if array.ndim != 1 or array.dtype.kind not in kinds:
        _wrong(source, field, values, wanted)
    return array
