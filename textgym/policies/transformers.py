"""A policy that is a Hugging Face causal language model in this process, on CPU or GPU.

    policy = TransformersPolicy("path/to/model")
    run = textgym.rollout("textgym/Echo-v0", policy, num_examples=8, group_size=4)

The engine renders with the policy's ``template``, so that every turn continues the very ids of the turns before.
Asked without ``prompt_ids``, the policy renders the conversation itself, anew each time.
Concurrent requests are decoded together, in one thread, over one key-value cache. Invariant: a completion's
``prompt_token_ids`` and ``token_ids`` are exactly what the model read and what was drawn, the token that ended
it included, and ``logprobs`` are those of the distribution that was drawn from, computed in float32. It trains
nothing: a trainer changes the weights inside ``with policy.updating()``.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, NoReturn, Self

import numpy as np

from textgym.errors import ConfigError, ContextOverflow
from textgym.jsontext import printable
from textgym.policies.decoding import Decoder, GrowingText, Job, Sampled, SamplingPlan, Token
from textgym.policies.local_models import context_length_of, end_ids_of, load_model, template_of
from textgym.types import Completion, CompletionRequest, Message, Sampling, Usage

__all__ = ["TransformersPolicy"]

_SEEDS = 2**64
"""As many as a torch generator tells apart."""


class TransformersPolicy:
    """Samples from a causal language model of transformers.

    One instance serves many episodes, threads and event loops at once. With the same weights, prompt, sampling
    and seed it draws the same ids whoever shares the batch, up to ties closer than the rounding of the model's
    own arithmetic; seeds mean other draws on another kind of device.

    What is sampled: temperature 1 and the whole vocabulary unless the request, or ``sampling``, says otherwise.
    Sampling defaults of the model's generation config are not taken over; its end tokens and its
    ``max_new_tokens`` are. ``Sampling.extra`` may hold ``top_k``, ``min_p``, ``stop_token_ids`` and
    ``ignore_eos``. Log-probabilities are those after temperature, ``top_k``, ``top_p`` and ``min_p``, that is,
    of the distribution that was really drawn from; at temperature 0 the most likely token is taken and its
    log-probability is the one at temperature 1.

    A rope that changes past some length ("longrope") changes it for a whole row, so where ``max_context`` lets
    rows become that long, only rows of one length are decoded together, no cache is kept for the next turn, and a
    row that passes that length is read anew, as transformers' ``generate`` does: each log-probability is the
    one after a full pass over what stands before the token. A pass over the finished row sees all of it with
    the long rope, so tokens sampled before the switch have others there. A "dynamic" rope depends on what was read
    before, so a context in which it would stretch is refused.

    The text of a completion has no special tokens in it and is cut before a stop string, while the ids keep
    both. Thinking and ``<tool_call>`` blocks stay in the text, where environments look for them. Without
    ``max_tokens`` a completion may fill the context; what does not fit is cut with ``finish_reason="length"``.

    Args:
        model: A loaded causal language model, or the path or name of one.
        tokenizer: Its tokenizer, or the path of one; None loads the one that belongs to the path.
        template: A ``ChatTemplate``, or what one can be made of; None takes the tokenizer's own chat template,
            where it has one.
        device: Where the model goes; None leaves a loaded model where it is, and loads onto the GPU if
            there is one.
        dtype: Type of the weights ("float32", "bfloat16", or a torch dtype); None keeps what is there.
        max_batch: Most completions that are decoded together; further ones wait.
        max_context: Most tokens of prompt and completion; None takes what the model's config states.
        sampling: Taken where a request leaves a value open.
        prefix_cache: Bytes of memory for the key-value caches of finished completions, from which the next
            turn of a conversation goes on; 0 keeps none.
        name: What records say; None takes the model's own name.

    Raises:
        MissingExtra: Torch or transformers is not installed.
        ConfigError: A value is unusable, or a trial of a few tokens shows that the model does not predict with
            its key-value cache what it predicts without.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        template: Any = None,
        device: Any = None,
        dtype: Any = None,
        max_batch: int = 32,
        max_context: int | None = None,
        sampling: Sampling | None = None,
        prefix_cache: int = 2**28,
        name: str | None = None,
    ) -> None:
        _check_counts(1, max_batch=max_batch)
        _check_counts(0, prefix_cache=prefix_cache)
        if max_context is not None:
            _check_counts(1, max_context=max_context)
        self.model, self.tokenizer = load_model(model, tokenizer, device, dtype)
        self.name = name or str(getattr(self.model.config, "_name_or_path", "") or type(self.model).__name__)
        """The text that names this policy in records."""
        self.max_batch = max_batch
        self.sampling = sampling if sampling is not None else Sampling()
        self.context_length = max_context if max_context is not None else context_length_of(self.model)
        """Most tokens of prompt and completion together, or None where nobody knows."""
        self.template = template_of(template, self.tokenizer)
        """Renders messages; None where there is no chat template."""
        self.end_ids = end_ids_of(self.model, self.tokenizer, self.template)
        """Ids that end a completion: those of the generation config, the tokenizer and the chat template."""
        self._text_lock = (
            threading.Lock()
        )  # tokenizers of the tokenizers package change state when they encode
        self._decoder = Decoder(
            self.model, max_batch=max_batch, prefix_bytes=prefix_cache, longest=self.context_length
        )
        self._vocabulary = self._decoder.forward.vocabulary
        self._finalizer = weakref.finalize(self, self._decoder.close)

    # ------------------------------------------------------------------ asking

    async def complete(self, request: CompletionRequest) -> Completion:
        """Sample one completion.

        Args:
            request: The turn. ``prompt_ids`` are read as they are; else ``prompt``; else the messages.

        Returns:
            The completion, with its ids, log-probabilities and prompt ids, and the version of the weights
            that sampled its first token.

        Raises:
            ContextOverflow: The prompt leaves no room for one token.
            TemplateError: The chat template refuses the messages.
            PolicyError: The model failed, or the policy is closed.
            ConfigError: The sampling or the ids mean nothing to this model.
        """
        prompt = self.prompt_ids_of(request)
        sampled = await asyncio.wrap_future(self.submit(prompt, request.sampling, seed=request.seed))
        return Completion(
            text=self.decode(sampled.ids) if sampled.text is None else sampled.text,
            token_ids=np.array(sampled.ids, dtype=np.int32),
            logprobs=np.minimum(np.array(sampled.logprobs, dtype=np.float32), 0.0),
            prompt_token_ids=np.array(prompt, dtype=np.int32),
            finish_reason=sampled.finish_reason,
            usage=Usage(prompt_tokens=len(prompt), completion_tokens=len(sampled.ids)),
            policy_version=sampled.policy_version,
        )

    def submit(
        self,
        prompt_ids: Sequence[int],
        sampling: Sampling | None = None,
        *,
        seed: int | None = None,
        top_logprobs: int = 0,
        on_token: Callable[[Token], Any] | None = None,
    ) -> Future[Sampled]:
        """Continue some ids; what ``complete`` and servers are made of.

        Args:
            prompt_ids: What to continue.
            sampling: How.
            seed: Seed of the draws, modulo 2**64; None for unrepeatable ones.
            top_logprobs: How many of the most likely ids to report with every token.
            on_token: Called with every token, in the decoding thread: it must be quick. What it raises fails
                this completion.

        Returns:
            A future of the result; cancelling it stops the decoding.

        Raises:
            ContextOverflow: The prompt leaves no room for one token.
            PolicyError: The policy is closed.
            ConfigError: The sampling or the ids mean nothing to this model.
        """
        prompt = self._checked(prompt_ids)
        if seed is not None:
            if isinstance(seed, bool) or not hasattr(seed, "__index__"):
                raise ConfigError(f"seed is {seed!r:.40}: it must be a whole number or None")
            seed = int(seed) % _SEEDS
        room = None if self.context_length is None else self.context_length - len(prompt)
        if room is not None and room < 1:
            raise ContextOverflow(
                f"this model's maximum context length is {self.context_length} tokens and the prompt has "
                f"{len(prompt)}: nothing can be sampled after it"
            )
        plan = SamplingPlan.resolve(
            sampling if sampling is not None else Sampling(),
            self.sampling,
            end_ids=self.end_ids,
            room=room,
            max_tokens=getattr(self._generation_config, "max_new_tokens", None),
        )
        follows = bool(plan.stop) or on_token is not None
        job = Job(
            prompt=prompt,
            plan=plan,
            seed=seed,
            text=GrowingText(self.decode, plan.stop) if follows else None,
            top=top_logprobs,
            watch=on_token,
        )
        self._decoder.submit(job)
        return job.future

    def _checked(self, prompt_ids: Sequence[int]) -> list[int]:
        ids = np.asarray(prompt_ids)
        if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
            raise ConfigError(
                f"the prompt's ids are {prompt_ids!r:.80}: they must be a flat list of at least one whole number"
            )
        if ids.min() < 0 or ids.max() >= self._vocabulary:
            wrong = int(ids[(ids < 0) | (ids >= self._vocabulary)][0])
            raise ConfigError(
                f"the prompt holds the id {wrong}, and the model has ids 0 to {self._vocabulary - 1}: the ids "
                "were made by another tokenizer"
            )
        prompt: list[int] = ids.tolist()
        return prompt

    @property
    def _generation_config(self) -> Any:
        return getattr(self.model, "generation_config", None)

    # ------------------------------------------------------------------ text and ids

    def prompt_ids_of(self, request: CompletionRequest) -> list[int]:
        """The ids that the model is to continue for a request.

        Raises:
            TemplateError: The chat template refuses the messages.
            ConfigError: There is no chat template.
        """
        if request.prompt_ids is not None:
            return [int(token) for token in request.prompt_ids]
        if request.prompt is not None:
            return self.encode(request.prompt)
        return self.render(request.messages, request.tools)

    def render(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> list[int]:
        """The ids of a conversation that the assistant is to answer.

        Args:
            messages: Chat messages.
            tools: JSON schemas of tools, or None.

        Raises:
            TemplateError: The chat template refuses the messages.
            ConfigError: There is no chat template.
        """
        if self.template is None:
            raise ConfigError(
                "the tokenizer has no chat template: set tokenizer.chat_template, pass template=…, or use an "
                "environment with message_type='completion'"
            )
        ids: list[int] = self.template.initial(messages, tools).tolist()
        return ids

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with the special tokens that the tokenizer puts around a text of its own.

        Lone surrogates, which no tokenizer takes, become U+FFFD.
        """
        with self._text_lock:
            ids: list[int] = self.tokenizer(printable(text))["input_ids"]
        return ids

    def decode(self, ids: Sequence[int], *, specials: bool = False) -> str:
        """The text of some ids.

        Args:
            ids: Token ids; those that the tokenizer does not have vanish.
            specials: Whether special tokens are written out.
        """
        with self._text_lock:
            text: str = self.tokenizer.decode(
                list(ids), skip_special_tokens=not specials, clean_up_tokenization_spaces=False
            )
        return text

    # ------------------------------------------------------------------ weights

    @property
    def policy_version(self) -> int:
        """Version of the weights; 0 at first, one more after every update."""
        return self._decoder.version

    def updating(self, version: int | None = None) -> AbstractContextManager[Any]:
        """Change the weights in a ``with`` block: nothing is decoded meanwhile.

        Waits, at most for the token that is being computed, and blocks the calling thread for that long.
        Completions that are on their way go on with the new weights, from caches computed anew; they record
        the version that sampled their first token, the oldest one in them.

        Args:
            version: The version afterwards; None counts one up.

        Returns:
            A context manager that yields the model.
        """
        return self._decoder.updating(version)

    def update(
        self, weights: Mapping[str, Any] | Callable[[Any], Any] | None = None, *, version: int | None = None
    ) -> int:
        """Change the weights in one call.

        Args:
            weights: Tensors by the names of ``model.state_dict()`` (those that are absent stay), or a
                function that changes the model it is given; None where a trainer has changed them already.
            version: As for ``updating``.

        Returns:
            The new version.

        Raises:
            ConfigError: A name is unknown to the model; no weight has changed, nor has the version.
        """
        if isinstance(weights, Mapping):
            unknown = sorted(weights.keys() - self.model.state_dict().keys())
            if unknown:
                raise ConfigError(
                    f"the model has no weight {unknown[0]!r} ({len(unknown)} unknown names): they must be "
                    "those of its state_dict()"
                )
        with self.updating(version) as model:
            if isinstance(weights, Mapping):
                model.load_state_dict(weights, strict=False)
            elif weights is not None:
                weights(model)
        return self.policy_version

    # ------------------------------------------------------------------ the end

    async def aclose(self) -> None:
        """Give back the memory of kept caches. The policy stays usable, for a rollout calls this at its end."""
        await asyncio.to_thread(self._decoder.forget_prefixes)

    def close(self) -> None:
        """End the decoding thread; completions on their way fail, and so do later ones."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def describe(self) -> dict[str, Any]:
        """What a record of a run says about this policy, as JSON types."""
        return {
            "policy": type(self).__name__,
            "model": self.name,
            "dtype": str(getattr(self.model, "dtype", None)).removeprefix("torch."),
            "context_length": self.context_length,
            "sampling": self.sampling.to_dict(),
            "tokens": None if self.template is None else self.template.describe(),
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, policy_version={self.policy_version})"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a TransformersPolicy holds a model and a thread and can be neither pickled nor copied: make one in "
            "each process, or run `textgym serve-model PATH` and use OpenAIPolicy"
        )


def _check_counts(least: int, **counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name} is {value!r}: it must be a whole number of at least {least}")
