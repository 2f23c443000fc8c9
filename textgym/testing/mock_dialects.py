"""How differently model servers tell about tokens: the dialects of the mock model server.

The replies of ``mock_replies`` are vLLM's. A dialect changes a request before such a reply is made, and the reply
after it.

Invariant: a dialect takes facts away or moves them; it never changes a text, an id or a log-probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MOCK_DIALECTS", "heard", "said"]

MOCK_DIALECTS = ("vllm", "sglang", "openai", "text")
"""``vllm`` knows ``return_token_ids``; ``sglang`` knows ``return_meta_info`` and ``/generate`` instead; ``openai``
has log-probabilities and no ids; ``text`` has neither. The last two refuse prompts of ids."""

_SGLANG_NAMES = {"max_new_tokens": "max_tokens", "sampling_seed": "seed"}


def heard(dialect: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A request as vLLM would have been asked.

    Args:
        dialect: One of ``MOCK_DIALECTS``.
        path: Path of the request.
        body: Its body.

    Raises:
        ValueError: The server does not take such a request.
    """
    fields = dict(body)
    if path == "/generate":
        sampling = fields.get("sampling_params") or {}
        asked: dict[str, Any] = {_SGLANG_NAMES.get(name, name): value for name, value in sampling.items()}
        asked["prompt"] = fields.get("input_ids", fields.get("text"))
        asked["return_token_ids"] = True
        if fields.get("return_logprob"):
            asked["logprobs"] = 0
        return asked
    if dialect == "vllm":
        return fields
    if dialect == "sglang":
        fields["return_token_ids"] = bool(fields.get("return_meta_info"))
        return fields
    if not isinstance(fields.get("prompt", ""), str):
        raise ValueError("prompt must be a string")
    fields.pop("return_token_ids", None)
    if dialect == "text":
        fields.pop("logprobs", None)
    return fields


def said(dialect: str, path: str, body: Mapping[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """A reply of vLLM's as this server gives it.

    Args:
        dialect: One of ``MOCK_DIALECTS``.
        path: Path of the request.
        body: The request as it came.
        document: The reply to what was ``heard``; it may be changed.
    """
    if dialect != "sglang":
        return document
    prompt = document.pop("prompt_token_ids", None)
    for choice in document["choices"]:
        prompt = choice.pop("prompt_token_ids", prompt)
        ids = choice.pop("token_ids", None)
        if ids is None:
            continue
        rows = [[logprob, token, None] for logprob, token in zip(_logprobs(choice), ids, strict=True)]
        choice["meta_info"] = {"output_token_logprobs": rows}
        if body.get("return_prompt_token_ids"):
            choice["prompt_token_ids"] = prompt
    if path != "/generate":
        return document
    choice = document["choices"][0]
    meta = {**document["usage"], **choice["meta_info"], "finish_reason": {"type": choice["finish_reason"]}}
    return {"text": choice["text"], "meta_info": meta}


def _logprobs(choice: Mapping[str, Any]) -> list[float]:
    table = choice["logprobs"]
    return table.get("token_logprobs") or [row["logprob"] for row in table["content"]]
