"""The reply documents of the model server: OpenAI's protocol with vLLM's token fields.

Invariant: ids, log-probabilities, text, usage and finish reason of a choice all come from one ``Sampled``,
and a stream's pieces put together say what the whole document would have said. Nothing here knows HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textgym.policies.decoding import Sampled, Token
from textgym.server.completion_requests import Asked
from textgym.tokens.arrays import MISSING_LOGPROB

__all__ = ["Replies"]


class Replies:
    """Makes the documents of one request.

    Args:
        asked: The request.
        identifier: Id of the completion.
        model: Name of the model.
        decode: Ids to text; special tokens are written out with ``specials=True``.
    """

    def __init__(self, asked: Asked, *, identifier: str, model: str, decode: Callable[..., str]) -> None:
        self._asked = asked
        self._decode = decode
        self._head = {"id": identifier, "created": int(time.time()), "model": model}

    def whole(self, prompts: Sequence[list[int]], results: Sequence[Sampled]) -> dict[str, Any]:
        """The reply in one piece.

        Args:
            prompts: The ids of each prompt.
            results: ``choices`` completions of the first prompt, then of the second …
        """
        asked = self._asked
        choices = [
            self._choice(index, prompts[index // asked.choices], sampled)
            for index, sampled in enumerate(results)
        ]
        kind = "chat.completion" if asked.chat else "text_completion"
        document = {**self._head, "object": kind, "choices": choices, "usage": _usage(prompts, results)}
        if asked.token_ids and asked.chat:
            document["prompt_token_ids"] = prompts[0]
        return document

    def _choice(self, index: int, prompt: list[int], sampled: Sampled) -> dict[str, Any]:
        asked = self._asked
        text = self._decode(sampled.ids) if sampled.text is None else sampled.text
        choice: dict[str, Any] = {"index": index}
        if asked.chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        tokens = _tokens(sampled)
        choice["logprobs"] = self._chat_logprobs(tokens) if asked.chat else self._text_logprobs(tokens)
        choice["finish_reason"] = sampled.finish_reason.value
        choice["stop_reason"] = sampled.stop if isinstance(sampled.stop, str) else None
        if asked.token_ids:
            choice["token_ids"] = list(sampled.ids)
            if not asked.chat:
                choice["prompt_token_ids"] = prompt
        return choice

    # ------------------------------------------------------------------ in pieces, for chat

    def opening(self, index: int, prompt: list[int]) -> dict[str, Any]:
        """The first piece of a choice."""
        piece = self._piece(index, {"role": "assistant", "content": ""})
        if self._asked.token_ids and index == 0:
            piece["prompt_token_ids"] = prompt
        return piece

    def token(self, index: int, token: Token) -> dict[str, Any]:
        """The piece of one token."""
        piece = self._piece(index, {"content": token.text})
        choice = piece["choices"][0]
        choice["logprobs"] = self._chat_logprobs([token])
        if self._asked.token_ids:
            choice["token_ids"] = [token.id]
        return piece

    def closing(self, index: int, sampled: Sampled) -> dict[str, Any]:
        """The last piece of a choice."""
        piece = self._piece(index, {"content": sampled.rest} if sampled.rest else {})
        choice = piece["choices"][0]
        choice["finish_reason"] = sampled.finish_reason.value
        choice["stop_reason"] = sampled.stop if isinstance(sampled.stop, str) else None
        return piece

    def usage(self, prompts: Sequence[list[int]], results: Sequence[Sampled]) -> dict[str, Any]:
        """The piece that counts."""
        return {**self._piece(0, {}), "choices": [], "usage": _usage(prompts, results)}

    def _piece(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    # ------------------------------------------------------------------ log-probabilities

    def _chat_logprobs(self, tokens: Iterable[Token]) -> dict[str, Any] | None:
        if not self._asked.logprobs:
            return None
        rows = []
        for token in tokens:
            row = self._row(token.id, token.logprob)
            row["top_logprobs"] = [self._row(*pair) for pair in token.top]
            rows.append(row)
        return {"content": rows}

    def _row(self, token: int, logprob: float) -> dict[str, Any]:
        name = self._name(token)
        return {"token": name, "logprob": _finite(logprob), "bytes": list(name.encode("utf-8", "replace"))}

    def _text_logprobs(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self._asked.logprobs:
            return None
        names = [self._name(token.id) for token in tokens]
        offsets = [0]
        for name in names:
            offsets.append(offsets[-1] + len(name))
        top = [{self._name(other): _finite(logprob) for other, logprob in token.top} for token in tokens]
        return {
            "tokens": names,
            "token_logprobs": [_finite(token.logprob) for token in tokens],
            "top_logprobs": top if self._asked.top_logprobs else None,
            "text_offset": offsets[:-1],
        }

    def _name(self, token: int) -> str:
        return f"token_id:{token}" if self._asked.ids_as_tokens else self._decode([token], specials=True)


def _tokens(sampled: Sampled) -> list[Token]:
    tops = sampled.tops or ((),) * len(sampled.ids)
    rows = zip(sampled.ids, sampled.logprobs, tops, strict=True)
    return [Token(id=token, logprob=logprob, top=top) for token, logprob, top in rows]


def _finite(logprob: float) -> float:
    """JSON cannot write minus infinity: vLLM's mark stands for it."""
    return min(max(logprob, MISSING_LOGPROB), 0.0)


def _usage(prompts: Sequence[list[int]], results: Sequence[Sampled]) -> dict[str, int]:
    read, written = sum(map(len, prompts)), sum(len(sampled.ids) for sampled in results)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
