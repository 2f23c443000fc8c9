"""The loop that a rollout makes for itself: uvloop's where it is installed, Python's elsewhere."""

from __future__ import annotations

import asyncio
import builtins
import gc
import logging
import time
from typing import Any

import pytest

import textgym
from textgym import ScriptedPolicy, SingleTurnEnv
from textgym.rollouts import watchdog

ROWS = [{"prompt": f"{n}+{n}?", "answer": str(2 * n)} for n in range(8)]


def loop_of_a_run() -> asyncio.AbstractEventLoop:
    loops = []

    def policy(request: Any) -> str:
        loops.append(asyncio.get_running_loop())
        return "x"

    run = textgym.rollout(lambda: SingleTurnEnv(ROWS), ScriptedPolicy(policy))
    assert run.errors == []
    return loops[0]


def test_uvloop_is_taken_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    uvloop = pytest.importorskip("uvloop")
    assert isinstance(loop_of_a_run(), uvloop.Loop)

    def sleeps(observation: str) -> str:
        time.sleep(0.6)
        return "x"

    monkeypatch.setattr(watchdog, "LAG_SECONDS", 0.2)
    with caplog.at_level(logging.WARNING, logger="textgym.rollouts"):
        textgym.rollout(lambda: SingleTurnEnv(ROWS), sleeps, num_examples=2)
    assert "policy sleeps" in caplog.text


def test_without_uvloop_it_is_pythons(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "uvloop":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert isinstance(loop_of_a_run(), asyncio.BaseEventLoop)


def test_the_collector_is_left_as_it_was() -> None:
    during = []

    def policy(request: Any) -> str:
        during.append(gc.get_threshold())
        return "x"

    def play() -> None:
        during.clear()
        textgym.rollout(lambda: SingleTurnEnv(ROWS), ScriptedPolicy(policy))

    before = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)
        play()
        assert during[0][0] > 700
        assert gc.get_threshold() == (700, 10, 10)
        for chosen in ((0, 10, 10), (100_000, 5, 5)):
            gc.set_threshold(*chosen)
            play()
            assert during[0][0] == chosen[0]
            assert gc.get_threshold() == chosen
    finally:
        gc.set_threshold(*before)
