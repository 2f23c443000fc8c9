"""Rules of the prompt: what a policy gets to see at ``reset``.

Invariant: a text that was cut at the bound of the observation space is not held against the environment here.
"""

from __future__ import annotations

from typing import Any

from textgym.envs.text_env import TextEnv
from textgym.spaces import Unicode
from textgym.testing.rules.play import Play
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject, has

__all__: list[str] = []


@rule("prompt-shown", "3.2", needs=("reset-returns", "reset-messages"))
def prompt_shown(subject: Subject) -> None:
    """The observation of ``reset`` shows the content of every prompt message."""
    limit = getattr(subject.make().observation_space, "max_length", 0)
    for one in subject.plays:
        if len(one.observation) >= limit:
            continue
        for message in one.info["messages"]:
            content = message.get("content")
            if isinstance(content, str) and content not in one.observation:
                raise Broken(
                    f"{one.at(0)}: the observation {short(one.observation)} does not show the "
                    f"{message['role']} message {short(content)}"
                )


@rule("completion-prompt", "3.2", needs=("playable",))
def completion_prompt(subject: Subject) -> None:
    """In completion mode ``info["prompt"]`` is the text to append, at every step."""
    env = subject.make()
    if not has(env, "message_type"):
        raise Untested("the environment has no message_type")
    if env.get_wrapper_attr("message_type") != "completion":
        raise Untested("message_type is 'chat'")
    for one in subject.plays:
        for index, info in enumerate(one.infos()):
            shown = one.observation if index == 0 else one.turns[index - 1].observation
            prompt = info.get("prompt")
            if not isinstance(prompt, str) or prompt != shown:
                raise Broken(
                    f"{one.at(index)}: info['prompt'] is {short(prompt)}; expected the new text "
                    f"{short(shown)}"
                )


@rule("tool-schemas", "3.2", needs=("playable",))
def tool_schemas(subject: Subject) -> None:
    """``info["tools"]``, where there are tools, is a list of function schemas in OpenAI's form."""
    offering = [one for one in subject.plays if "tools" in one.info]
    if not offering:
        raise Untested("the environment offers no tools")
    for one in offering:
        tools = one.info["tools"]
        if not isinstance(tools, list):
            raise Broken(f"{one.at(0)}: info['tools'] is {short(tools)}; expected a list of schemas")
        for tool in tools:
            _check_tool(one, tool)


def _check_tool(one: Play, tool: Any) -> None:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Broken(
            f"{one.at(0)}: info['tools'] holds {short(tool)}; expected {{'type': 'function', "
            "'function': {'name': …, 'parameters': …}}"
        )


@rule("cut-observation", "3.5", needs=("reset-returns",), waived_unless="deterministic")
def cut_observation(subject: Subject) -> str:
    """An observation longer than its bound is cut, with a visible marker."""
    env = subject.make()
    if not isinstance(env.unwrapped, TextEnv):
        raise Untested("only a TextEnv can be given another bound for a test")
    whole, _ = subject.make().reset(seed=0)
    bound = len(whole) - 1
    for part in _parts(env.unwrapped):
        part.observation_space = Unicode(bound)
    observed, _ = env.reset(seed=0)
    if len(observed) > bound:
        raise Broken(
            f"with an observation space of {bound} code points reset(seed=0) gave {len(observed)}: "
            f"{short(observed)}"
        )
    if whole.startswith(observed) and bound >= 64:
        raise Broken(
            f"reset(seed=0) cut its observation to {bound} code points without a visible marker: it "
            f"ends with {short(observed[-40:])}"
        )
    return f"with a bound of {bound} code points"


def _parts(env: TextEnv) -> list[TextEnv]:
    """The environment and those that it is made of (a mixture's, a chain's)."""
    held = [env, *vars(env).values()]
    inner = [value for holder in held if isinstance(holder, dict) for value in holder.values()]
    inner += [value for holder in held if isinstance(holder, list | tuple) for value in holder]
    return [part for part in [*held, *inner] if isinstance(part, TextEnv)]
