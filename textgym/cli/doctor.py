"""``textgym doctor``: is everything here that a run needs, and does the model server answer?

Invariant: it changes nothing outside this process and asks the network only for the server that was named. The
sandbox is found by really starting one.
What it prints is fit for a bug report: no key, no path of the user, no environment variable's value.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from textgym.cli import console, open_files
from textgym.cli.exits import Exit
from textgym.cli.settings import DEFAULT_CONCURRENCY
from textgym.errors import ConfigError, PolicyError
from textgym.registration import registered_ids
from textgym.sandbox import probe

if TYPE_CHECKING:
    from textgym.policies import OpenAIPolicy

__all__ = ["HELP", "Finding", "add_arguments", "run"]

HELP = "Look for what may be wrong with this installation"

_REQUIREMENT = re.compile(r"^([\w.-]+)(.*?)(?:;(.*))?$")
_PATH = re.compile(r"(?:/[^\s/:,;']+){2,}")
_DEVELOPMENT = "dev"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    """What."""
    found: str
    """What is there."""
    problem: str | None = None
    """What is wrong with it and how to mend it, or None."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--base-url", action="append", metavar="URL", help="ask this server, too; repeatable")
    parser.add_argument("--model", metavar="M", help="ask it for one short completion of this model")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Look at everything and print what was found."""
    findings = [*_software(), *_machine(), *_sandbox()]
    if arguments.base_url or arguments.model:
        findings += asyncio.run(_server(arguments.base_url or [], arguments.model))
    problems = [finding for finding in findings if finding.problem is not None]
    if arguments.json:
        rows = [{"topic": f.topic, "found": f.found, "problem": f.problem} for f in findings]
        console.out_json({"ok": not problems, "findings": rows})
    else:
        for line in console.table([(f.topic, f.found) for f in findings]):
            console.out(line)
        for finding in problems:
            console.out(f"problem: {finding.topic}: {finding.problem}")
        if not problems:
            console.out("no problems")
    return Exit.FAILED if problems else Exit.OK


def _software() -> Iterator[Finding]:
    yield Finding("python", f"{platform.python_implementation()} {platform.python_version()}")
    yield Finding("platform", platform.platform(terse=True))
    yield Finding("textgym", metadata.version("textgym"))
    yield Finding("environments", f"{len(registered_ids())} ids")
    extras: dict[str, list[str]] = {}
    for requirement in metadata.requires("textgym") or []:
        name, wanted, extra = _parsed(requirement)
        if extra is not None:
            extras.setdefault(extra, []).append(name)
        else:
            yield _package(name, wanted)
    for extra, names in sorted(extras.items()):
        if extra != _DEVELOPMENT:
            missing = [name for name in names if _version(name) is None]
            there = ", ".join(f"{name} {_version(name)}" for name in names)
            yield Finding(f"[{extra}]", f'no: pip install "textgym[{extra}]"' if missing else there)


def _parsed(requirement: str) -> tuple[str, str, str | None]:
    """Name, version specifier and extra of a requirement in a package's metadata."""
    match = _REQUIREMENT.match(requirement)
    assert match is not None
    extra = re.search(r"extra\s*==\s*['\"]([\w.-]+)", match[3] or "")
    return match[1], match[2].strip(" ()"), None if extra is None else extra[1]


def _package(name: str, wanted: str) -> Finding:
    version = _version(name)
    if version is None:
        return Finding(name, "missing", f'pip install "{name}{wanted}"')
    least = re.search(r">=\s*([\d.]+)", wanted)
    if least is not None and _numbers(version) < _numbers(least[1]):
        return Finding(name, version, f'too old: pip install "{name}{wanted}"')
    return Finding(name, version)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)[:3]]


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("cores", str(cores))
    soft, _ = open_files.limit()
    problem = open_files.allow(DEFAULT_CONCURRENCY)
    yield Finding("open files", "no limit" if soft is None else str(soft), problem)


def _sandbox() -> Iterator[Finding]:
    """What untrusted code can be run behind; no problem for those who run none, so that it is never called one."""
    for row in probe():
        why = console.one_line(_PATH.sub("<path>", row.found), 200)
        yield Finding(f"sandbox: {row.feature}", row.found if row.works else f"no: {why}")


async def _server(base_urls: list[str], model: str | None) -> list[Finding]:
    from textgym.policies import OpenAIPolicy

    where: dict[str, Any] = {"base_url": base_urls} if base_urls else {}
    try:
        policy = OpenAIPolicy(model or "any", tokens=True, timeout=30.0, max_retries=1, **where)
    except ConfigError as error:
        return [Finding("server", "not asked", str(error))]
    where_shown = ", ".join(policy.base_urls)
    try:
        await policy.preflight()
        found = [Finding("server", f"{where_shown} answers")]
        if model is not None:
            found.append(await _completion(policy, model))
    except PolicyError as error:
        return [Finding("server", f"{where_shown} is of no use", str(error))]
    finally:
        await policy.aclose()
    return found


async def _completion(policy: OpenAIPolicy, model: str) -> Finding:
    from textgym.types import CompletionRequest, Sampling

    began = time.monotonic()
    request = CompletionRequest(
        messages=[{"role": "user", "content": "Say: ok"}], sampling=Sampling(max_tokens=16), seed=0
    )
    try:
        completion = await policy.complete(request)
    except PolicyError as error:
        return Finding("model", f"{model} gives no completion", str(error))
    seconds = time.monotonic() - began
    ids = "token ids" if completion.token_ids is not None else "no token ids"
    counted = "usage" if completion.usage.completion_tokens is not None else "no usage"
    said = console.one_line(repr(completion.text), 60)
    return Finding("model", f"{model} says {said} in {seconds:.2f} s, with {ids} and {counted}")
