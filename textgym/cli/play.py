"""``textgym play ID``: one episode in the terminal, played by hand or watched.

Invariant: nobody learns more than the environment has told: an episode that was left is neither scored nor
explained, and only ``/oracle``, which is typed on purpose, gives anything away. Standard output carries the
conversation or, with ``--json``, the record of the finished episode and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from textgym.cli import console
from textgym.cli.arguments import add_env_arguments, env_arguments
from textgym.cli.environment import make, resolve_id
from textgym.cli.exits import Exit
from textgym.errors import ConfigError, TextgymError

if TYPE_CHECKING:
    from textgym.policies import Policy
    from textgym.rollouts import Trajectory
    from textgym.types import CompletionRequest

__all__ = ["HELP", "add_arguments", "run"]

HELP = "Play one episode in the terminal, or watch one"

EPILOG = '''\
An answer is one line, or several between two lines of three quotes ("""). Alone on the first line,
/oracle shows a perfect action and /quit leaves; an episode that was left is not scored.

exit codes: 0 played or left by /quit, 1 the episode failed, 2 wrong usage, 130 Ctrl-C or the end of input'''

_HOW = (
    '(an answer is one line, or several between two lines """; /oracle shows a perfect action, /quit leaves)'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.epilog = EPILOG
    parser.add_argument("env", metavar="ID", help="id of the environment, see `textgym list`")
    add_env_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which instance, as in `show` (0)")
    parser.add_argument(
        "--policy",
        choices=("human", "oracle", "random"),
        default="human",
        help="you at the keyboard (the default), the perfect answer, or random text",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the finished trajectory as one JSON object; the conversation goes to standard error",
    )


class _Left(BaseException):
    """The person has gone. No ``Exception``, which would make the episode a failed one."""

    def __init__(self, why: str, code: Exit) -> None:
        super().__init__(why)
        self.code = code


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Play the episode; returns the exit code."""
    if arguments.seed < 0:
        raise ConfigError(f"--seed is {arguments.seed}: it must be at least 0")
    env_id = resolve_id(arguments.env)
    kwargs = env_arguments(getattr(arguments, "env_args", ()))
    env = make(env_id, kwargs)
    say = console.note if arguments.json else _say
    try:
        trajectory = asyncio.run(_play(env, env_id, kwargs, arguments, say))
    except _Left as left:
        console.note(f"{console.PROGRAM}: {left}")
        return left.code
    finally:
        env.close()
    return _report(trajectory, arguments, say)


async def _play(
    env: Any, env_id: str, kwargs: dict[str, Any], arguments: argparse.Namespace, say: Callable[[str], Any]
) -> Trajectory:
    from textgym import seeding
    from textgym.cli.narration import Narrated
    from textgym.policies.policy import policy_name
    from textgym.rollouts import Limits
    from textgym.rollouts.episode import EpisodeTask, run_episode
    from textgym.types import Sampling

    policy = _policy(arguments.policy, say)
    task = EpisodeTask(
        env_id=env_id,
        env_kwargs=kwargs,
        seed=arguments.seed,
        options=None,
        group_id=0,
        sample=0,
        sampling_seed=seeding.mix(arguments.seed, "sampling", 0),
        group_key="",
        policy=policy_name(policy),
    )
    told = Narrated(env, say, actions=arguments.policy != "human")
    return await run_episode(told, policy, task, Sampling(), Limits())


def _policy(name: str, say: Callable[[str], Any]) -> Policy:
    from textgym.policies import OraclePolicy, RandomPolicy
    from textgym.policies.human import HumanPolicy, Keyboard

    if name != "human":
        return OraclePolicy() if name == "oracle" else RandomPolicy()
    keyboard = Keyboard()

    async def read(prompt: str) -> str:
        try:
            return await keyboard(prompt)
        except EOFError:
            console.note("")  # off the line of the question
            raise _Left("the input ended before the episode did", Exit.INTERRUPTED) from None

    class Person(HumanPolicy):
        """Somebody who sees the conversation anyway."""

        def show(self, request: CompletionRequest) -> None:
            if request.turn == 0:
                console.note(_HOW)

    return Person(read, console.note, {"/oracle": lambda request: say(_hint(request)), "/quit": _quit})


def _hint(request: CompletionRequest) -> str:
    oracle = getattr(request.env.unwrapped, "oracle", None)
    try:
        action = oracle() if oracle is not None else None
    except TextgymError as error:
        return f"(the oracle fails: {error})"
    return "(this environment has no oracle)" if action is None else f"[oracle]\n{action}\n"


def _quit(request: CompletionRequest) -> None:
    turns = f"{request.turn} turn{'' if request.turn == 1 else 's'}"
    raise _Left(f"left after {turns}; the episode is not scored", Exit.OK)


def _report(trajectory: Trajectory, arguments: argparse.Namespace, say: Callable[[str], Any]) -> Exit:
    from textgym.cli.narration import ending

    if trajectory.error is None:
        say(ending(trajectory))
    if arguments.json:
        console.out_json(trajectory.to_dict())
        console.flush()
    if trajectory.error is None:
        return Exit.OK
    console.note(f"{console.PROGRAM}: error: {trajectory.error}")
    return Exit.FAILED


def _say(text: str) -> None:
    console.out(text)
    console.flush()  # before the question, which goes to standard error
