"""``--dry-run``: everything that can go wrong before the first completion, tried without playing.

Invariant: nothing is played, no completion is asked for and nothing is written, not even a directory.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from textgym.cli import console
from textgym.cli.exits import Exit, exit_code
from textgym.cli.settings import Settings
from textgym.envs.transcript import transcript
from textgym.errors import PolicyError, RunError, RunMismatch
from textgym.rollouts import Run
from textgym.rollouts.engine import Rollout
from textgym.rollouts.store import SIZE

__all__ = ["rehearse"]


def rehearse(work: Rollout, settings: Settings) -> Exit:
    """Say what a run would do, and whether it could.

    Args:
        work: The run, ready to start.
        settings: What was asked for.

    Returns:
        0 if nothing stands in its way.

    Raises:
        RunError: The run directory cannot be used.
        ConfigError: The first episode cannot begin.
    """
    present = _present(work, settings)
    messages, observation = _first_prompt(work)
    silence = _probe(work.policy) if settings.model is not None else None
    code = Exit.OK if silence is None else exit_code(silence)
    if settings.json:
        console.out_json(
            {
                "exit_code": int(code),
                "error": None if silence is None else str(silence),
                "config": work.plan.config(),
                "episodes": work.plan.num_episodes,
                "present": present,
                "max_concurrency": work.max_concurrency,
                "base_url": _servers(work.policy),
                "out": settings.out,
                "prompt": messages,
            }
        )
    else:
        _describe(work, settings, present, silence)
        console.out(f"\nfirst prompt ({len(observation)} characters):\n")
        console.out(transcript(messages) if messages else observation)
        console.out()
    console.flush()
    if silence is not None:
        console.error(silence)
    console.note("dry run: nothing was played or written")
    return code


def _describe(work: Rollout, settings: Settings, present: int, silence: PolicyError | None) -> None:
    plan = work.plan
    shape = f"{plan.num_groups} examples x {plan.group_size} samples"
    rows = [
        ("episodes", f"{plan.num_episodes} = {shape}, {work.max_concurrency} at a time"),
        ("seed", str(plan.seed)),
        ("arguments", _pairs(settings.env_args) or "defaults"),
        ("limits", _pairs(settings.limits.to_dict()) or "none"),
    ]
    if settings.model is not None:
        answer = "does not answer" if silence is not None else "answers"
        rows.append(("sampling", _pairs(settings.sampling.to_dict()) or "the server's defaults"))
        rows.append(("server", f"{', '.join(_servers(work.policy))} {answer}"))
    if settings.out is None:
        rows.append(("run", "not kept (no --out)"))
    else:
        rows.append(("run", f"{settings.out}, {present} of {plan.num_episodes} are there already"))
    console.out(f"{plan.source.name} with {plan.policy}")
    for line in console.table([(f"  {name}", text) for name, text in rows]):
        console.out(line)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in values.items())


def _servers(policy: Any) -> list[str]:
    return list(getattr(policy, "base_urls", ()))


def _first_prompt(work: Rollout) -> tuple[list[dict[str, Any]], str]:
    task = next(work.plan.tasks())
    env = work.plan.source.take()
    try:
        observation, info = env.reset(seed=task.seed, options=task.options)
    finally:
        env.close()
    return info.get("messages") or [], str(observation)


def _probe(policy: Any) -> PolicyError | None:
    """What stands between us and the model server, or None."""

    async def ask() -> None:
        try:
            await policy.preflight()
        finally:
            await policy.aclose()

    try:
        asyncio.run(ask())
    except PolicyError as error:
        return error
    return None


def _present(work: Rollout, settings: Settings) -> int:
    """How many episodes the run directory holds already.

    Raises:
        RunError: The run would be refused because of the directory.
    """
    if settings.out is None:
        return 0
    path = Path(settings.out)
    if (path / "run.json").exists() and settings.resume:
        run = Run.load(path)
        differing = _differing(run.config, work.plan.config(data=True))
        if differing:
            raise RunMismatch(f"{path} holds a run with another configuration: {', '.join(differing)}")
        return len(run) - len(run.errors)
    episodes = path / "episodes.jsonl"
    if episodes.exists() and episodes.stat().st_size:
        raise RunError(f"{path} holds a run already: add --resume, or choose another directory")
    nearest = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise RunError(f"cannot write the run directory {path}: {nearest} is no directory we may write to")
    return 0


def _differing(stored: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    names = [n for n in {**stored, **wanted} if n != SIZE and stored.get(n) != wanted.get(n)]
    return [f"{name} was {stored.get(name)!r} and is {wanted.get(name)!r}" for name in names]
