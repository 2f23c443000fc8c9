"""``rollout(tokenizer=…)``: the engine renders, the policy continues, and the record is what it saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import textgym
from textgym import Completion, CompletionRequest, FinishReason, Limits, MultiTurnEnv, Run, StopReason
from textgym.errors import ConfigError, ContextOverflow, RunMismatch
from textgym.rollouts import Boundary
from textgym.testing import MockModelServer, ToyTokenizer, toy_tokens
from textgym.testing.toy_tokens import END
from textgym.tokens import ChatTemplate

ROWS = [{"prompt": f"Question {n}?", "answer": "yes"} for n in range(3)]


class Talk(MultiTurnEnv):
    """Says something until it has had its turns."""

    def env_response(self, messages: Any, state: Any) -> Any:
        return self.reply(len(messages))

    def reply(self, length: int) -> Any:
        return f"More, after {length} messages?"

    def is_completed(self, messages: Any, state: Any) -> bool:
        return False


class TokenIn:
    """Continues ids, as a local model does; answers bytes that no text could be encoded into."""

    name = "token-in"

    def __init__(self, ids: Any = (0xC3, 0x28, END), **fields: Any) -> None:
        self.answer, self.fields, self.prompts = list(ids), fields, []  # type: ignore[var-annotated]

    async def complete(self, request: CompletionRequest) -> Completion:
        assert request.prompt_ids is not None
        self.prompts.append(request.prompt_ids.tolist())
        fields: dict[str, Any] = {
            "text": toy_tokens.decode(self.answer),
            "prompt_token_ids": request.prompt_ids,
            "token_ids": self.answer,
            "logprobs": [-0.5] * len(self.answer),
            **self.fields,
        }
        return Completion(**fields)


def play(policy: Any, env: Any = None, **arguments: Any) -> textgym.Trajectory:
    arguments = {"num_examples": 1, "tokenizer": ToyTokenizer(), **arguments}
    made = (lambda: Talk(ROWS, max_turns=4)) if env is None else env
    (trajectory,) = textgym.rollout(made, policy, **arguments)
    return trajectory


def rendered(messages: Any) -> list[int]:
    return toy_tokens.render([{k: v for k, v in m.items() if k != "sampled"} for m in messages])


def test_the_record_is_what_the_policy_saw_and_sampled() -> None:
    policy = TokenIn()
    trajectory = play(policy)
    stream = trajectory.tokens
    assert stream is not None
    assert (stream.forks, stream.drifts, len(stream.steps)) == (0, 0, 4)
    assert policy.prompts[0] == rendered(trajectory.messages[:1])
    for number, prompt in enumerate(policy.prompts):
        assert stream.prompt_ids(number).tolist() == prompt
        assert stream.completion_ids(number).tolist() == policy.answer
    for earlier, later in zip(policy.prompts, policy.prompts[1:], strict=False):
        assert later[: len(earlier) + 3] == [*earlier, *policy.answer]
    assert stream.mask.sum() == 4 * len(policy.answer)
    # What a tokenizer would have made of the text is something else: the bytes were no UTF-8.
    assert toy_tokens.encode(trajectory.steps[0].action) != policy.answer[:-1]
    assert [s.prompt_end for s in trajectory.steps] == [s.prompt_end for s in stream.steps]
    assert textgym.Trajectory.from_dict(trajectory.to_dict()).tokens == stream


def test_an_answer_that_was_cut_gets_its_close_as_context() -> None:
    policy = TokenIn((72, 73), finish_reason=FinishReason.LENGTH)
    stream = play(policy).tokens
    assert stream is not None
    after = stream.steps[0].completion_end
    assert (stream.ids[after], stream.mask[after]) == (END, 0)


def test_messages_that_no_policy_has_read_are_in_no_record() -> None:
    trajectory = play(TokenIn(), limits=Limits(turns=2))
    stream = trajectory.tokens
    assert trajectory.stop_reason is StopReason.MAX_TURNS
    assert trajectory.messages[-1]["role"] == "user"
    assert stream is not None
    assert len(stream) == stream.steps[-1].completion_end

    class Overflowing(TokenIn):
        async def complete(self, request: CompletionRequest) -> Completion:
            if request.turn == 2:
                raise ContextOverflow("too long")
            return await super().complete(request)

    stream = play(Overflowing()).tokens
    assert stream is not None
    assert (len(stream.steps), len(stream)) == (2, stream.steps[-1].completion_end)


def test_a_policy_that_saw_other_ids_forks_and_is_counted() -> None:
    class Drifting(TokenIn):
        async def complete(self, request: CompletionRequest) -> Completion:
            if request.turn == 1:
                self.fields["prompt_token_ids"] = [9, *request.prompt_ids.tolist()[1:]]
            else:
                self.fields.pop("prompt_token_ids", None)
            return await super().complete(request)

    policy = Drifting()
    trajectory = play(policy)
    stream = trajectory.tokens
    assert stream is not None
    assert (stream.forks, stream.drifts) == (1, 1)
    assert stream.segment_ids[0] == 9  # what was really seen is what later turns continue
    assert policy.prompts[2][0] == 9
    assert len(stream.steps) == 4
    run = Run([trajectory])
    summary = run.summary()
    assert (summary.capture, summary.forks, summary.drifts) == ({"tokens": 1}, 1, 1)
    assert "capture   tokens 1; forks 1, drifts 1" in str(summary)


def test_a_server_that_adds_to_what_it_was_sent_drifts_without_a_fork() -> None:
    class Adding(TokenIn):
        async def complete(self, request: CompletionRequest) -> Completion:
            self.fields["prompt_token_ids"] = [*request.prompt_ids.tolist(), 5]
            return await super().complete(request)

    stream = play(Adding()).tokens
    assert stream is not None
    assert (stream.forks, stream.drifts) == (0, 4)


@pytest.mark.parametrize("missing", ["prompt_token_ids", "token_ids"])
def test_ids_that_a_policy_does_not_tell_are_not_made_up(missing: str) -> None:
    prompts = []

    class Silent(TokenIn):
        async def complete(self, request: CompletionRequest) -> Completion:
            prompts.append(request.prompt_ids is not None)
            if request.prompt_ids is None:
                return Completion(text="x")
            self.fields = {missing: None, "logprobs": None}
            return await super().complete(request)

    trajectory = play(Silent())
    assert trajectory.tokens is None
    assert trajectory.steps[0].prompt_end is None
    assert prompts == [True, False, False, False]
    assert Run([trajectory]).summary().capture == {"text": 1}


def test_policies_that_know_no_tokens_play_as_ever() -> None:
    trajectory = play(lambda observation: "x")
    assert trajectory.error is None
    assert trajectory.tokens is None


def test_without_a_tokenizer_no_ids_are_asked_for() -> None:
    def policy(request: CompletionRequest) -> str:
        assert request.prompt_ids is None
        return "x"

    assert play(textgym.ScriptedPolicy(policy), tokenizer=None).error is None


class Forgetting(ToyTokenizer):
    """Shows reasoning in the last answers only, as templates of reasoning models do."""

    def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
        last = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=0)
        shown = [
            {**m, "content": m["content"].split("</think>")[-1]}
            if i < last and m["role"] == "assistant"
            else m
            for i, m in enumerate(messages)
        ]
        return super().apply_chat_template(shown, **kwargs)


def test_history_by_the_template_forks_where_it_forgets() -> None:
    answer = [*toy_tokens.encode("<think>hm</think>yes"), END]
    kept = play(TokenIn(answer), tokenizer=ChatTemplate(Forgetting())).tokens
    assert kept is not None
    assert kept.forks == 0
    policy = TokenIn(answer)
    forgotten = play(policy, tokenizer=ChatTemplate(Forgetting(), history="template")).tokens
    assert forgotten is not None
    assert (forgotten.forks, forgotten.drifts, len(forgotten.steps)) == (3, 0, 4)
    assert [toy_tokens.decode(p).count("<think>") for p in policy.prompts] == [0, 0, 0, 0]
    assert toy_tokens.decode(policy.prompts[3]).count("yes") == 3
    # Where nothing is forgotten the same setting only appends.
    plain = play(TokenIn(answer), tokenizer=ChatTemplate(ToyTokenizer(), history="template")).tokens
    assert plain is not None
    assert plain.forks == 0


class ToolTalk(Talk):
    """Answers with tool messages."""

    def reply(self, length: int) -> Any:
        return [
            {"role": "tool", "content": f"result {i}", "tool_call_id": f"call_{length}_{i}"} for i in (0, 1)
        ]


def test_tool_messages_are_appended_in_order() -> None:
    call = textgym.ToolCall(id="x", name="f", arguments="{}")
    policy = TokenIn(tool_calls=(call,))
    stream = play(policy, env=lambda: ToolTalk(ROWS, max_turns=2)).tokens
    assert stream is not None
    tool = toy_tokens.ROLES["tool"]
    results = [n for i in (0, 1) for n in (tool, *toy_tokens.encode(f"result {i}"), END)]
    between = stream.ids[stream.steps[0].completion_end : stream.steps[1].prompt_end].tolist()
    assert between == [*results, toy_tokens.ROLES["assistant"]]


def test_known_ids_count_against_the_limits_where_no_usage_is_told() -> None:
    asked: list[Any] = []

    class Knowing(TokenIn):
        async def complete(self, request: CompletionRequest) -> Completion:
            asked.append(len(request.prompt_ids) + len(self.answer))
            return await super().complete(request)

    trajectory = play(Knowing(), limits=Limits(total_tokens=100))
    assert trajectory.stop_reason is StopReason.TOTAL_TOKENS
    assert sum(asked[:-1]) < 100 <= sum(asked)


class Naming(ToyTokenizer):
    """Writes the name of the call that a tool message answers, which the call alone tells."""

    def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
        names: dict[str, str] = {}
        shown = []
        for message in messages:
            names |= {call["id"]: call["function"]["name"] for call in message.get("tool_calls") or ()}
            if message["role"] == "tool":
                message = {**message, "content": f"{names[message['tool_call_id']]}: {message['content']}"}
            shown.append(message)
        return super().apply_chat_template(shown, **kwargs)


def test_tool_messages_get_the_names_of_the_calls_that_they_answer() -> None:
    calls = tuple(textgym.ToolCall(id=name, name=name, arguments="{}") for name in ("add", "sub"))
    policy = TokenIn(tool_calls=calls)
    assert play(policy, env=lambda: ToolTalk(ROWS, max_turns=2), tokenizer=Naming()).error is None
    shown = toy_tokens.decode(policy.prompts[1])
    assert "add: result 0" in shown
    assert "sub: result 1" in shown


class Renderer:
    """As of the renderers package: it has to know where the answer begins."""

    def __init__(self) -> None:
        self.completions: list[list[int]] = []

    def render_ids(self, messages: Any, *, tools: Any = None, add_generation_prompt: bool = False) -> Any:
        return toy_tokens.render(messages, tools)

    def get_stop_token_ids(self) -> list[int]:
        return [END]

    def bridge_to_next_turn(self, prompt: Any, completion: Any, messages: Any, *, tools: Any = None) -> Any:
        self.completions.append(completion)
        if len(self.completions) == 2:
            return None
        return [*prompt, *completion, *toy_tokens.render(messages)]


def test_a_renderer_continues_or_has_the_conversation_rendered_anew() -> None:
    renderer, policy = Renderer(), TokenIn()
    stream = play(policy, tokenizer=renderer).tokens
    assert stream is not None
    assert renderer.completions == [policy.answer] * 3
    assert (stream.forks, stream.drifts, len(stream.steps)) == (1, 0, 4)


def test_completion_mode_continues_the_bare_text() -> None:
    policy = TokenIn((72, 73))
    env = lambda: Talk(ROWS, max_turns=3, message_type="completion")  # noqa: E731
    trajectory = play(policy, env=env)
    stream = trajectory.tokens
    assert stream is not None
    assert (stream.forks, stream.drifts, len(stream.steps)) == (0, 0, 3)
    assert policy.prompts[0] == toy_tokens.encode(trajectory.steps[0].observation)
    assert toy_tokens.decode(policy.prompts[2]).count("HI") == 2


def test_the_context_limit_is_exact() -> None:
    asked = []

    class Watching(TokenIn):
        async def complete(self, request: CompletionRequest) -> Completion:
            asked.append((len(request.prompt_ids), request.sampling.max_tokens))
            return await super().complete(request)

    trajectory = play(Watching(), limits=Limits(context_tokens=70))
    assert trajectory.stop_reason is StopReason.CONTEXT_TOKENS
    assert all(length < 70 and room == 70 - length for length, room in asked)
    assert len(asked) == len(trajectory.steps) == 2
    assert trajectory.error is None


class Alternating(ToyTokenizer):
    def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
        roles = [message["role"] for message in messages]
        if roles != [("user", "assistant")[index % 2] for index in range(len(roles))]:
            raise ValueError("roles must alternate")
        return super().apply_chat_template(messages, **kwargs)


def test_a_message_that_cannot_be_rendered_is_an_error_of_its_episode() -> None:
    policy = TokenIn()
    trajectory = play(policy, env=lambda: ToolTalk(ROWS, max_turns=3), tokenizer=Alternating())
    assert trajectory.error is not None
    assert (trajectory.error.boundary, trajectory.error.type) == (Boundary.ENV, "EnvError")
    assert "roles must alternate" in trajectory.error.message
    assert len(policy.prompts) == 1


def test_what_a_template_cannot_do_is_said_before_the_first_call() -> None:
    class OneTurn(ToyTokenizer):
        def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
            if len(messages) > 1:
                raise ValueError("one message only")
            return super().apply_chat_template(messages, **kwargs)

    policy = TokenIn()
    with pytest.raises(ConfigError, match=r"several turns.*one message only.*Limits\(turns=1\)"):
        play(policy, tokenizer=OneTurn())
    assert play(policy, tokenizer=OneTurn(), limits=Limits(turns=1)).tokens is not None
    assert play(policy, env=lambda: textgym.SingleTurnEnv(ROWS), tokenizer=OneTurn()).tokens is not None

    class Tools(Talk):
        def reset(self, **kwargs: Any) -> Any:
            observation, info = super().reset(**kwargs)
            return observation, {**info, "tools": [{"type": "function", "function": {"name": "f"}}]}

        async def areset(self, **kwargs: Any) -> Any:
            observation, info = await super().areset(**kwargs)
            return observation, {**info, "tools": [{"type": "function", "function": {"name": "f"}}]}

    asked = len(policy.prompts)
    with pytest.raises(ConfigError, match="has tools.*roles must alternate"):
        play(policy, env=lambda: Tools(ROWS, max_turns=3), tokenizer=Alternating())
    assert len(policy.prompts) == asked
    with pytest.raises(ConfigError, match="must be a Hugging Face tokenizer"):
        play(policy, tokenizer="gpt2")


def test_the_template_belongs_to_the_configuration(tmp_path: Path) -> None:
    def again(tokenizer: Any, **arguments: Any) -> None:
        play(TokenIn(), tokenizer=tokenizer, out=tmp_path / "run", **arguments)

    again(ToyTokenizer())
    again(ToyTokenizer(), resume=True)
    with pytest.raises(RunMismatch, match="history"):
        again(ChatTemplate(ToyTokenizer(), history="template"), resume=True)
    plain = textgym.rollout(lambda: Talk(ROWS), textgym.RandomPolicy(), num_examples=1)
    assert "tokens" not in plain.config


def test_against_a_server_that_takes_ids() -> None:
    with MockModelServer.spawn(answer="<guess>50</guess>") as server:
        policy = textgym.OpenAIPolicy("mock", base_url=server.base_url)
        run = textgym.rollout("textgym/GuessNumber-v0", policy, num_examples=3, tokenizer=ToyTokenizer())
        rendering = textgym.rollout(
            "textgym/GuessNumber-v0",
            textgym.OpenAIPolicy("mock", base_url=server.base_url, tokens=True),
            num_examples=3,
        )
    assert not run.errors, run.errors[0].error
    for ours, theirs in zip(run, rendering, strict=True):
        assert ours.tokens is not None
        assert (ours.tokens.forks, ours.tokens.drifts, ours.tokens.has_logprobs) == (0, 0, True)
        assert ours.tokens.ids.tolist() == theirs.tokens.ids.tolist()  # type: ignore[union-attr]
        assert ours.tokens.mask.tolist() == theirs.tokens.mask.tolist()  # type: ignore[union-attr]
