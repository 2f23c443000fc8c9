"""SamplingPlan: a request's ``Sampling``, checked and with every default filled in.

Invariant: a plan leaves nothing open, so that one plan, one prompt, one seed and one set of weights give
one completion. Sampling defaults of a model's generation config (``top_k=20`` and the like) are not
taken over: they would silently change the distribution that a trainer believes in.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from textgym.errors import ConfigError
from textgym.types import Sampling

__all__ = ["GREEDY_BELOW", "SamplingPlan"]

GREEDY_BELOW = 1e-5
"""Temperatures below this take the most likely token, as temperature 0 does."""

_EXTRA = ("top_k", "min_p", "stop_token_ids", "ignore_eos")


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingPlan:
    """How one completion is sampled."""

    temperature: float = 1.0
    """Softmax temperature; 0.0 for greedy decoding."""
    top_p: float = 1.0
    """Nucleus mass in (0, 1]."""
    top_k: int = 0
    """Most tokens to choose from; 0 for all."""
    min_p: float = 0.0
    """Least probability, as a share of the most likely token's, in [0, 1)."""
    max_tokens: int = 1
    """Most tokens to sample."""
    stop: tuple[str, ...] = ()
    """Strings that end the completion."""
    stop_ids: frozenset[int] = frozenset()
    """Ids that end it, the model's end tokens among them."""

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is taken."""
        return self.temperature == 0.0

    @property
    def filters(self) -> bool:
        """Whether some tokens are ruled out before drawing."""
        return not self.greedy and (self.top_p < 1.0 or self.top_k > 0 or self.min_p > 0.0)

    @classmethod
    def resolve(
        cls,
        sampling: Sampling,
        defaults: Sampling,
        *,
        end_ids: Collection[int],
        room: int | None,
        max_tokens: int | None,
    ) -> SamplingPlan:
        """Fill in what a request leaves open.

        Args:
            sampling: The request's.
            defaults: Taken where the request says nothing.
            end_ids: The model's end tokens.
            room: Tokens that the context still holds, at least 1; None where its size is unknown.
            max_tokens: The model's own default length, or None.

        Returns:
            The plan. ``max_tokens`` is cut to ``room``.

        Raises:
            ConfigError: ``extra`` holds something unknown or out of range, or no length is known.
        """
        extra = {**defaults.extra, **sampling.extra}
        unknown = sorted(extra.keys() - set(_EXTRA))
        if unknown:
            raise ConfigError(
                f"sampling.extra holds {', '.join(unknown)}, which a local model does not know: it "
                f"takes {', '.join(_EXTRA)}"
            )
        temperature = _first(sampling.temperature, defaults.temperature, 1.0)
        limits = [_first(sampling.max_tokens, defaults.max_tokens, max_tokens), room]
        known = [limit for limit in limits if limit is not None]
        if not known:
            raise ConfigError("the model states no context length: set sampling.max_tokens")
        top_k = _number("top_k", extra.get("top_k"), 0, whole=True, least=-1)
        more = _ids(extra.get("stop_token_ids") or ())
        return cls(
            temperature=0.0 if temperature < GREEDY_BELOW else float(temperature),
            top_p=float(_first(sampling.top_p, defaults.top_p, 1.0)),
            top_k=max(int(top_k), 0),
            min_p=_number("min_p", extra.get("min_p"), 0.0, below=1.0),
            max_tokens=min(known),
            stop=tuple(stop for stop in sampling.stop or defaults.stop if stop),
            stop_ids=more if extra.get("ignore_eos") else more | frozenset(end_ids),
        )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _number(
    name: str,
    value: Any,
    default: float,
    *,
    whole: bool = False,
    least: float = 0,
    below: float = math.inf,
) -> float:
    if value is None:
        return default
    kind = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value < below:
        noun = "whole number" if whole else "number"
        top = f" and below {below:g}" if below < math.inf else ""
        raise ConfigError(
            f"sampling.extra[{name!r}] is {value!r:.40}: it must be a {noun} of at least {least}{top}"
        )
    return value


def _ids(values: Any) -> frozenset[int]:
    if isinstance(values, list | tuple | set | frozenset) and all(type(value) is int for value in values):
        return frozenset(values)
    raise ConfigError(f"sampling.extra['stop_token_ids'] is {values!r:.60}: it must be a list of token ids")
