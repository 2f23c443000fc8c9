"""``check_text_env`` as its callers see it: arguments, report, errors, environments of other makers.

That every rule catches what breaks it is shown in ``tests/conformance/test_mutants.py``.
"""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym import SingleTurnEnv
from textgym.errors import CheckFailed, ConfigError
from textgym.testing import CheckReport, FaultyEnv, RawFaultyEnv, RuleStatus, check_text_env, conformance
from textgym.testing.rules.catalogue import FAMILIES, RULES
from textgym.testing.rules.deadline import Overdue, deadline
from textgym.testing.rules.play import difference

ROWS = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(10)]


def statuses(report: CheckReport) -> dict[str, RuleStatus]:
    return {result.rule: result.status for result in report.results}


def test_a_report_has_one_result_for_every_rule_in_order() -> None:
    report = check_text_env("textgym/Echo-v0", env_kwargs={"turns": 2}, quick=True)
    assert [result.rule for result in report.results] == list(RULES)
    assert report.ok
    assert report.failed == []
    assert report["reward-type"].status is RuleStatus.PASSED
    assert report["another-process"].status is RuleStatus.UNTESTED
    text = str(report)
    assert text.startswith("textgym/Echo-v0, turns=2: ")
    assert all(rule in text for rule in RULES)
    with pytest.raises(KeyError):
        report["no-such-rule"]


def test_rules_have_names_promises_and_sections() -> None:
    for rule in RULES.values():
        assert rule.name.replace("-", "").isalpha()
        assert len(rule.promise) > 20
        assert rule.promise.endswith(".")
        assert rule.section[0] in "36"
    assert {rule.check.__module__ for rule in RULES.values()} == {family.__name__ for family in FAMILIES}


def test_a_failure_raises_with_every_broken_rule() -> None:
    with pytest.raises(CheckFailed) as caught:
        check_text_env(FaultyEnv, env_kwargs={"fault": "nan-reward"}, quick=True)
    report = check_text_env(FaultyEnv, env_kwargs={"fault": "nan-reward"}, quick=True, raise_on_failure=False)
    broken = [result.rule for result in report.failed]
    assert caught.value.rule == broken[0]
    assert all(f"  {rule}: " in str(caught.value) for rule in broken)
    assert f"FaultyEnv breaks {len(broken)} of {len(RULES)} rules" in str(caught.value)
    assert "reset(seed=0), then step('') returned the reward nan (float)" in str(caught.value)
    assert "FAILED    reward-type" in str(report)
    assert "promise: The reward is a finite Python ``float``." in str(report)


def test_unusable_arguments_raise_at_once() -> None:
    for arguments, message in (
        ({"env": FaultyEnv()}, "pass an id or a factory"),
        ({"env": 7}, "pass an id or a factory"),
        ({"env": FaultyEnv, "seeds": 0}, "at least 1"),
        ({"env": FaultyEnv, "only": ["reward-typ"]}, "'reward-typ'"),
    ):
        with pytest.raises(ConfigError, match=message):
            check_text_env(**arguments)  # type: ignore[arg-type]
    with pytest.raises(gym.error.NameNotFound):
        check_text_env("textgym/Nothing-v0")
    with pytest.raises(ConfigError, match="difficulty is 9"):
        check_text_env("textgym/Math-v0", env_kwargs={"difficulty": 9})


def test_only_takes_what_a_rule_needs_along() -> None:
    report = check_text_env("textgym/Echo-v0", only=["oracle-maximal"], quick=True)
    rules = [result.rule for result in report.results]
    assert rules[0] == "gymnasium-env"
    assert {"playable", "reward-bounds", "max-return", "oracle-plays"} < set(rules)
    assert rules[-1] == "oracle-maximal"


class Waives(FaultyEnv):
    """A seat of a game of chance; rewards as ``FaultyEnv``."""

    metadata = {  # noqa: RUF012
        **FaultyEnv.metadata,
        "deterministic": False,
        "waived_rules": {"empty-earns-floor": "silence is golden"},
    }

    def oracle(self) -> Any:
        return None

    def max_return(self) -> Any:
        return None


def test_waivers_are_named_with_their_reason() -> None:
    report = check_text_env(Waives, quick=True)
    waived = {result.rule: result.detail for result in report.having(RuleStatus.WAIVED)}
    assert waived["empty-earns-floor"] == "metadata['waived_rules'] names it: silence is golden"
    assert waived["same-seed-same-episode"] == "metadata['deterministic'] is False"
    assert waived["oracle-plays"].startswith("oracle() is None")
    assert waived["max-return"].startswith("max_return() is None")
    assert "waived" in str(report)


class Compared(FaultyEnv):
    """Refuses to be played alone, as rubrics with group functions do; rewards as ``FaultyEnv``."""

    compares_members = True

    def begin(self, setting: Any) -> Any:
        if not self.in_group:
            raise ConfigError("not without the other members")
        return super().begin(setting)


def test_an_env_that_compares_members_is_played_as_a_member() -> None:
    check_text_env(Compared, quick=True)


def test_an_env_of_another_maker_fails_by_name() -> None:
    report = check_text_env("FrozenLake-v1", raise_on_failure=False, quick=True)
    failed = {result.rule: result.detail for result in report.failed}
    assert "Discrete(16)" in failed["observation-space"]
    assert "max_episode_steps is 100" in failed["no-time-limit"]
    for rule in ("truncate-at-start", "oracle-plays", "message-deltas", "reward-bounds"):
        assert "subclass it (or SingleTurnEnv" in failed[rule]
    assert report["any-text"].detail == "it needs 'action-space', which failed"
    assert report["same-seed-same-episode"].status is RuleStatus.PASSED


def test_a_plain_env_of_texts_is_told_what_it_lacks() -> None:
    report = check_text_env(RawFaultyEnv, raise_on_failure=False, quick=True)
    found = statuses(report)
    assert found["any-text"] is found["in-async"] is found["vector-sync"] is RuleStatus.PASSED
    assert "info['messages'] is None" in report["reset-messages"].detail


def test_an_endless_env_leaves_rules_untested() -> None:
    report = check_text_env(FaultyEnv, env_kwargs={"fault": "endless"}, quick=True)
    assert report["step-after-end"].detail.startswith("no episode came to its end")


def test_an_env_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "QUICK_PATIENCE", 0.3)
    began = time.monotonic()
    for kind, fault in ((FaultyEnv, "step-hangs"), (RawFaultyEnv, "reset-hangs")):
        kwargs = {"fault": fault, "seconds": 30}
        report = check_text_env(kind, env_kwargs=kwargs, quick=True, raise_on_failure=False)
        assert report["playable"].detail == "the environment hangs: not finished after 0.3 seconds"
        assert report["in-threads"].status is RuleStatus.UNTESTED
    assert time.monotonic() - began < 10


def test_an_env_that_exits_does_not_take_the_caller_along() -> None:
    class Exits(FaultyEnv):
        def respond(self, action: str) -> Any:
            sys.exit(3)

    report = check_text_env(Exits, quick=True, raise_on_failure=False)
    assert report["playable"].detail.startswith("it raised SystemExit: 3 at ")


def test_factories_of_every_kind() -> None:
    def two_turns() -> gym.Env[Any, Any]:
        return textgym.tasks.echo.EchoEnv(turns=2)  # type: ignore[attr-defined]

    import textgym.tasks.echo

    for factory in (two_turns, lambda: gym.make("textgym/Math-v0"), lambda: SingleTurnEnv(ROWS)):
        report = check_text_env(factory, quick=True)
        assert report["render-ansi"].status is RuleStatus.UNTESTED  # it takes no render_mode
        assert "factory" in report["spec-json"].detail
    report = check_text_env(SingleTurnEnv, env_kwargs={"dataset": ROWS}, quick=True)
    assert report["render-ansi"].status is RuleStatus.PASSED
    assert report["epoch-without-replacement"].detail == "10 examples"


def test_the_check_leaves_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    states = random.getstate(), np.random.get_state(), sys.getswitchinterval(), gym.logger.min_level
    check_text_env("textgym/GuessNumber-v0", quick=True)
    now = random.getstate(), np.random.get_state(), sys.getswitchinterval(), gym.logger.min_level
    assert difference(states, now) is None
    assert signal.getsignal(signal.SIGALRM) is handler
    assert capsys.readouterr() == ("", "")


def test_it_works_in_a_thread_and_within_a_loop() -> None:
    async def within_a_loop() -> CheckReport:
        return check_text_env("textgym/Echo-v0", quick=True)

    reports = [asyncio.run(within_a_loop())]
    thread = threading.Thread(
        target=lambda: reports.append(check_text_env("textgym/Echo-v0", quick=True)), daemon=True
    )
    thread.start()
    thread.join(60)
    assert [report.ok for report in reports] == [True, True]


def test_it_needs_no_test_framework_and_is_loaded_lazily() -> None:
    code = (
        "import sys, textgym.testing as t; assert 'textgym.testing.conformance' not in sys.modules;"
        "t.check_text_env('textgym/Echo-v0', quick=True); assert 'check_text_env' in dir(t);"
        "assert not {'pytest', '_pytest', 'hypothesis', 'unittest'} & set(sys.modules), 'framework'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        textgym.testing.nothing  # noqa: B018


def test_a_deadline_interrupts_and_restores_the_alarm_before_it() -> None:
    with pytest.raises(Overdue, match=r"not finished after 0\.05 seconds"), deadline(0.05):
        time.sleep(5)
    with deadline(30):
        with deadline(5):
            pass
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 20 < left <= 30


def test_differences_are_named_by_their_place() -> None:
    nan = float("nan")
    assert difference({"a": [1.0, nan]}, {"a": [1.0, nan]}) is None
    assert difference({"a": [1.0, 2.0]}, {"a": [1.0, 3.0]}, "info") == "info['a'][1] is 3.0, expected 2.0"
    assert difference({"a": 1}, {"b": 1}, "info") == "info keys is ['b'], expected ['a']"
    assert difference(1, 1.0) == "result is 1.0 (float), expected 1 (int)"
    assert difference([1], [1, 2]) is not None
    assert difference(np.zeros(2), np.zeros(2)) is None
    assert difference(np.zeros(2), np.ones(2), "x") == "x[0] is 1.0, expected 0.0"
    assert difference(np.zeros(2), np.zeros(3)) is not None
