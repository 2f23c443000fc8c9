"""ToolEnv: the model calls tools until it answers.

Invariant: whatever the model writes gets an answer: a result, or an error text that says what was wrong. Only the
policy's own words are searched for calls and answers, so nothing that a tool returns can call, answer or end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from textgym import seeding
from textgym.cutting import cut
from textgym.envs.episode_parts import Ending, Opening, Setting
from textgym.envs.multi_turn import MultiTurnEnv
from textgym.errors import ConfigError, NotForkable
from textgym.hooks import Flow, adrive, drive, flow, settle
from textgym.parsers import Parser, ToolCallParser, XMLParser
from textgym.parsers.parser import Completed
from textgym.parsers.tool_calls import ParsedCall, ParsedCalls, read_arguments
from textgym.rewards import Rubric, exact_match
from textgym.tools import ToolOutcome, ToolResult, Toolset, tool_success
from textgym.tools.provider import is_deterministic
from textgym.tools.sessions import Sessions
from textgym.types import Example, Message, StopReason, ToolCall

__all__ = ["TOOL_SYSTEM_PROMPT", "ToolEnv"]

TOOL_SYSTEM_PROMPT = """\
You can use tools. Think step by step, and in every message do exactly one of these two things.

To call a tool, write:
<think>
why you need it
</think>
<tool>
{"name": "the tool's name", "args": {"argument": "value"}}
</tool>
The block holds one JSON object; write several blocks to make several calls. You then get one <result> block
for each call, in the same order, and go on.

To finish, write:
<think>
how you know
</think>
<answer>
your final answer
</answer>

A message with an answer ends the conversation, and no call in it is run.

The tools are:

{tool_descriptions}"""
"""Default system prompt of the text protocol. Only ``{tool_descriptions}`` in it is replaced."""

_TOOLS = "{tool_descriptions}"
_TAG = re.compile(r"<(/?result)", re.IGNORECASE)
_SENT_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Names that OpenAI's servers accept in a conversation."""
_FRAME = "<result>\n{}\n</result>"


class ToolEnv(MultiTurnEnv):
    """Questions that the model may answer with the help of tools.

    **Text protocol** (default). The model writes ``<tool>{"name": …, "args": {…}}</tool>``, one block a
    call; the next user message holds a ``<result>`` block for each, in order. The episode ends when the
    parser finds an answer outside of calls and of leading ``<think>…</think>``; calls in that same message
    are not run. Within a result, ``<result`` and ``</result`` get a backslash after the ``<``, so that no
    tool can close its own frame.

    **Native protocol.** ``info["tools"]`` offers the tools' schemas. The action is the text followed by
    ``<tool_call>{"name": …, "arguments": {…}}</tool_call>`` blocks, as ``textgym.rollout`` writes native
    calls. The conversation holds the assistant message with ``tool_calls`` and ids ``call_{turn}_{i}``,
    both counted from 0, and a tool message for each. A message without calls is the answer and ends the
    episode.

    Both forms of blocks are understood in both protocols. What is no JSON, names no tool, does not fit the schema,
    raises or takes too long is answered by ``Error: …`` and counted; so is a message with neither call nor answer.
    In the native protocol a malformed block stays in the text (servers refuse unreadable arguments, and names
    that no tool has and none could have), and a user message says what was wrong with it.

    ## Rewards
    Those of the rubric, by default 1 for the right answer (``exact_match``), with ``tool_success`` as a
    metric. Reward functions may ask for ``tool_calls``: the records of all calls, dicts with ``name``,
    ``arguments``, ``outcome``, ``text``, ``turn`` and the other fields of ``ToolResult``. Metrics at the
    end: ``tool_calls``, ``tool_errors``, ``tool/<outcome>`` for each outcome, ``tool/truncated``, and
    ``turns_without_call``.

    Args:
        dataset: As for ``DatasetEnv``. A column ``calls`` (a list of ``{"name": …, "arguments": {…}}``)
            tells the oracle what to call before it answers.
        tools: Functions, ``Tool``s, names of registered tools, ``ToolProvider``s, ``Search(documents)``; or a
            ``Toolset``.
        rubric: Judges the episode.
        parser: Finds the answer; by default ``XMLParser(["think", ("tool", "answer")])``, in the native
            protocol the whole text.
        system_prompt: ``{tool_descriptions}`` in it is replaced by the description of the tools. None takes
            ``TOOL_SYSTEM_PROMPT`` (native protocol: no system prompt), "" takes none.
        protocol: ``"text"`` or ``"native"``.
        max_calls: Most calls that are run in one turn; the others are answered by an error.
        **kwargs: As for ``MultiTurnEnv`` (``max_turns``, ``turns_are_rule``, …).

    Raises:
        ConfigError: There are no tools, one is unusable or needs hidden arguments, the protocol is unknown,
            or it is native with ``message_type="completion"``.

    Example:
        >>> def add(a: int, b: int) -> int:
        ...     '''Add two numbers.'''
        ...     return a + b
        >>> env = ToolEnv([{"prompt": "17 + 25?", "answer": "42"}], [add])
        >>> _ = env.reset(seed=0)
        >>> print(env.step('<tool>{"name": "add", "args": {"a": 17, "b": 25}}</tool>')[0])
        <result>
        42
        </result>
        >>> env.step("<answer>42</answer>")[1:3]
        (1.0, True)
    """

    fills_hidden = False
    """Whether hidden arguments of tools are filled."""

    def __init__(
        self,
        dataset: Any,
        tools: Iterable[Any] | Toolset,
        rubric: Rubric | None = None,
        parser: Parser | None = None,
        *,
        system_prompt: str | None = None,
        protocol: str = "text",
        max_calls: int = 32,
        **kwargs: Any,
    ) -> None:
        if protocol not in ("text", "native"):
            raise ConfigError(f"protocol is {protocol!r}: it must be 'text' or 'native'")
        native = protocol == "native"
        if native and kwargs.get("message_type", "chat") != "chat":
            raise ConfigError("the native protocol needs chat messages: leave message_type at 'chat'")
        if parser is None:
            parser = Parser() if native else XMLParser(["think", ("tool", "answer")])
        if rubric is None:
            rubric = Rubric([exact_match, tool_success], weights=[1.0, 0.0])
        if system_prompt is None and not native:
            system_prompt = TOOL_SYSTEM_PROMPT
        super().__init__(dataset, rubric, parser, system_prompt=system_prompt, **kwargs)
        self.protocol = protocol
        self.call_parser = ToolCallParser(max_calls)
        self.toolset = self._given = tools if isinstance(tools, Toolset) else Toolset(tools)
        """The tools of the present episode."""
        if not self._given.tools and not self._given.providers:
            raise ConfigError(f"{type(self).__name__} has no tools: give at least one")
        self._check_hidden(self._given)
        self._sessions = Sessions(self._given.providers)
        self._idle = 0
        self.metadata = {  # type: ignore[misc]
            **self.metadata,
            "forkable": self.metadata["forkable"] and self._sessions.forkable,
            "deterministic": self.metadata["deterministic"]
            and all(map(is_deterministic, self._given.providers)),
        }

    def _check_hidden(self, toolset: Toolset) -> None:
        for tool in toolset:
            if tool.hidden and not self.fills_hidden:
                raise ConfigError(
                    f"tool {tool.name!r} has the hidden argument {tool.hidden[0]!r}, which {type(self).__name__} "
                    "does not fill: use StatefulToolEnv"
                )

    def fingerprint(self) -> str | None:
        """A digest of the rows, the wording and the tools; None for sampled datasets."""
        rows = super().fingerprint()
        tools = [self.protocol, self._given.schemas, self._given.describe()]
        return None if rows is None else seeding.content_id([rows, tools])

    @flow
    async def begin(self, setting: Setting) -> Opening:
        """Open the providers, then begin as any environment with a dataset."""
        if self._given.providers:
            self.toolset = self._given.with_tools(await self._sessions.begin())
            self._check_hidden(self.toolset)
        opening: Opening = await settle(super().begin(setting))
        self.state["tool_calls"] = []
        self._idle = 0
        return replace(opening, tools=self.toolset.schemas) if self.protocol == "native" else opening

    def format_prompt(self, example: Example) -> list[Message]:
        """The messages that an episode on this row begins with, the tools described in the system prompt."""
        messages = super().format_prompt(example)
        first = messages[0]
        if self.system_prompt and first == {"role": "system", "content": self.system_prompt}:
            first["content"] = self.system_prompt.replace(_TOOLS, self.toolset.describe())
        return messages

    def _parsed(self, text: Completed) -> ParsedCalls:
        """The calls in a text, in the native protocol those that a server takes back."""
        return self.call_parser.parse(text, self._may_be_sent if self.protocol == "native" else None)

    def _may_be_sent(self, name: str) -> bool:
        """Whether servers accept a message that calls a tool of this name: their own check, or it was offered."""
        return _SENT_NAME.fullmatch(name) is not None or name in self.toolset

    def assistant_message(self, action: str, turn: int) -> Message:
        """The action; in the native protocol its readable calls as ``tool_calls``."""
        if self.protocol == "native":
            parsed = self._parsed(action)
            calls = [_native(call) for call in _calls(parsed, turn) if call is not None]
            if calls:
                return {"role": "assistant", "content": parsed.content, "tool_calls": calls}
        return super().assistant_message(action, turn)

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> Any:
        """Whether the newest message is an answer of the policy (native protocol: one without calls)."""
        newest = messages[-1]
        if newest.get("role") != "assistant":
            return False
        if self.protocol == "native":
            parsed = self._parsed(newest["content"])
            return not newest.get("tool_calls") and not parsed.calls
        return self.parser.parse_answer(self._parsed(newest["content"]).spoken) is not None

    @flow
    async def env_response(self, messages: list[Message], state: dict[str, Any]) -> list[Message]:
        """Run the calls of the newest action and tell what came of them."""
        parsed = self._parsed(self.answers[-1])
        turn = self.turns - 1
        calls = _calls(parsed, turn)
        readable = iter(await settle(self.run_calls([call for call in calls if call is not None])))
        results = []
        for index, (call, written) in enumerate(zip(calls, parsed.calls, strict=True)):
            result = next(readable) if call is not None else _malformed(written, f"call_{turn}_{index}")
            results.append(result)
            state["tool_calls"].append(_record(result, written.arguments, turn))
        self._idle += not results
        further = self._further_errors(parsed)
        return (
            self._native_reply(results, further)
            if self.protocol == "native"
            else self._text_reply(results, further)
        )

    def run_calls(self, calls: Sequence[ToolCall]) -> Flow[list[ToolResult]]:
        """Run the calls of one turn; override to hand hidden arguments to the tools."""
        return self.toolset.calls(calls)

    def _text_reply(self, results: Sequence[ToolResult], further: Sequence[str]) -> list[Message]:
        texts = [*(result.text for result in results), *further]
        share = self.observation_space.max_length // len(texts) - len(_FRAME)
        blocks = [_FRAME.format(cut(_TAG.sub(r"<\\\1", text), max(share, 0))) for text in texts]
        return [{"role": "user", "content": "\n".join(blocks)}]

    def _native_reply(self, results: Sequence[ToolResult], further: Sequence[str]) -> list[Message]:
        """A tool message for each call that the assistant message holds, then what was wrong with the others."""
        said: list[Message] = []
        faults: list[str] = []
        held = {call["id"] for call in self.messages[-1].get("tool_calls", ())}
        for result in results:
            if result.call_id in held:
                message = {"role": "tool", "tool_call_id": result.call_id, "name": result.name}
                said.append({**message, "content": result.text})
            else:
                faults.append(result.text)
        faults += further
        return [*said, {"role": "user", "content": "\n".join(faults)}] if faults else said

    def _further_errors(self, parsed: ParsedCalls) -> list[str]:
        if parsed.dropped:
            most = self.call_parser.max_calls
            return [
                f"Error: {parsed.dropped} further calls were not run: at most {most} are run in one message"
            ]
        if parsed.calls:
            return []
        example = self.call_parser.format(self.toolset.tools[0].name if len(self.toolset) else "name", {})
        return [
            "Error: the message holds neither a tool call nor an answer. Call a tool like this:\n"
            f"{example}\nor give the final answer like this:\n{self._answer_form()}"
        ]

    def _answer_form(self) -> str:
        try:
            return self.parser.format_answer("…")
        except ConfigError:
            return "your final answer"

    @flow
    async def finish(self, reason: StopReason) -> Ending:
        """Judge the episode, count its calls, and close the sessions that belong to it."""
        try:
            ending: Ending = await settle(super().finish(reason))
        finally:
            await self._sessions.end()
        return replace(ending, metrics={**self._counts(), **ending.metrics})

    def _counts(self) -> dict[str, float]:
        calls = self.state["tool_calls"]
        outcomes = Counter(call["outcome"] for call in calls)
        return {
            "tool_calls": float(len(calls)),
            "tool_errors": float(len(calls) - outcomes[ToolOutcome.OK.value]),
            **{f"tool/{outcome.value}": float(outcomes[outcome.value]) for outcome in ToolOutcome},
            "tool/truncated": float(sum(call["truncated"] for call in calls)),
            "turns_without_call": float(self._idle),
        }

    def scoring_arguments(self, reason: StopReason) -> dict[str, Any]:
        """What reward functions may ask for by name: ``tool_calls`` besides the usual.

        ``completion`` holds only what may answer: no blocks of calls, no thoughts in which an answer could be
        read, and in the native protocol nothing of a message with calls.
        """
        available = super().scoring_arguments(reason)
        completion = self._answering(available["completion"])
        return {**available, "completion": completion, "tool_calls": self.state["tool_calls"]}

    def _answering(self, text: str) -> str:
        parsed = self._parsed(text)
        if parsed.calls and self.protocol == "native":
            return ""
        whole = parsed.thoughts + parsed.spoken
        # What measures the form wants the thoughts, too: they stay unless they change the answer.
        same = self.parser.parse_answer(whole) == self.parser.parse_answer(parsed.spoken)
        return whole if same else parsed.spoken

    def oracle_calls(self) -> Sequence[Mapping[str, Any]]:
        """Calls that a perfect policy makes before it answers, one a turn: the row's column ``calls``."""
        return self._current().info.get("calls") or ()

    def oracle(self) -> str | None:
        """The next of the oracle's calls, or the answer when they are made or the turns run out."""
        calls = list(self.oracle_calls())
        answer = super().oracle()
        if answer is None or self.turns >= min(len(calls), self.max_turns - 1):
            return answer
        call = calls[self.turns]
        arguments = call.get("arguments", call.get("args"))
        return self.call_parser.format(
            call["name"], arguments, "native" if self.protocol == "native" else "text"
        )

    async def aclose(self) -> None:
        """Close the providers' sessions while others go on."""
        await adrive(self._sessions.close())

    def close(self) -> None:
        """Close the providers' sessions."""
        drive(self._sessions.close())
        super().close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A twin; raises ``NotForkable`` in the middle of an episode over a live session."""
        self._refuse_fork()
        return super().__deepcopy__(memo)

    def __getstate__(self) -> Any:
        self._refuse_fork()
        return super().__getstate__()

    def _refuse_fork(self) -> None:
        if self._episode is not None and not self._sessions.forkable:
            names = ", ".join(type(provider).__name__ for provider in self._given.providers)
            raise NotForkable(
                f"{type(self).__name__} cannot be copied in the middle of an episode: its tools belong to a live "
                f"session ({names}); copy it between episodes"
            )


def _calls(parsed: ParsedCalls, turn: int) -> list[ToolCall | None]:
    """The calls with their ids; None for malformed ones."""
    return [
        None if call.fault else ToolCall(id=f"call_{turn}_{index}", name=call.name, arguments=call.arguments)
        for index, call in enumerate(parsed.calls)
    ]


def _native(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _malformed(call: ParsedCall, call_id: str) -> ToolResult:
    text = f"Error: {call.fault}"
    return ToolResult(call_id=call_id, name=call.name, outcome=ToolOutcome.MALFORMED, text=text)


def _record(result: ToolResult, arguments: str, turn: int) -> dict[str, Any]:
    known = read_arguments(arguments)[0] if result.outcome is not ToolOutcome.MALFORMED else None
    return {**result.to_dict(), "arguments": arguments if known is None else known, "turn": turn}
