"""The conformance kit can be trusted: every rule has an environment that breaks it and is caught by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest
from mutants import copies, endings, makings, repetition, resets, rewards, seeds, sound, steps

from textgym.testing import RuleStatus, check_text_env
from textgym.testing.rules import hostility
from textgym.testing.rules.catalogue import RULES

ONE = sound.Sound()

CAUGHT: dict[Any, str] = {
    # A mutant -> the rules that fail, and no others: several where the breach shows in several ways.
    (lambda: object()): "gymnasium-env",
    (lambda: ONE): "gymnasium-env",
    makings.TextObservations: "observation-space",
    makings.TextActions: "action-space",
    makings.WordySpace: "compact-spaces",
    makings.NoForkableKey: "metadata",
    makings.UnknownWaiver: "waived-rules",
    makings.SilentOnRewards: "documented",
    makings.EndlessBounds: "reward-bounds",
    makings.RaisesOnPlausible: "playable",
    makings.FourTuple: "playable",
    makings.HasSeedMethod: "gymnasium-checker",
    makings.IntTruncated: "passive-checker flag-types",
    resets.NumpyPrompt: "reset-returns",
    resets.TupleOfMessages: "reset-messages vector-infos",
    resets.OneId: "example-id",
    resets.RandomId: "same-example-id fresh-infos empty-options index-option example-option "
    "same-seed-same-episode",
    resets.SharedMessages: "fresh-infos",
    resets.GrowingMessages: "fresh-infos prompt-shown",
    resets.NeedsASeed: "unseeded-reset gymnasium-checker unseeded-instances-differ",
    resets.EmptyOptionsDiffer: "empty-options",
    resets.TakesAnyOption: "unknown-option",
    resets.IgnoresIndex: "index-option",
    resets.AnyIndex: "index-option",
    resets.IgnoresExample: "example-option",
    resets.HidesSystemPrompt: "prompt-shown",
    resets.NoPromptInSteps: "completion-prompt",
    resets.ToolNames: "tool-schemas",
    resets.CutWithoutMarker: "cut-observation",
    resets.NeverCuts: "cut-observation",
    steps.NumpyText: "step-observation",
    steps.HugeObservation: "observation-in-space",
    steps.NumpyReward: "reward-type",
    steps.NumpyFlag: "flag-types",
    steps.RewardsDoNotSum: "rewards-explain",
    steps.IntRewards: "rewards-explain vector-infos",
    steps.NoMessagesInSteps: "step-messages",
    steps.SecretMessage: "message-deltas",
    steps.RewritesAnswers: "message-deltas",
    steps.KeepsNumpyText: "numpy-text",
    steps.HidesNewText: "newest-text",
    steps.LeaksAnswer: "hidden-answer",
    steps.LeaksAnswerByAnotherName: "hidden-answer",
    steps.IntMetric: "vector-infos",
    steps.ArrayInfo: "vector-infos",
    steps.TypeChanges: "vector-infos",
    copies.ReservedKey: "vector-infos vector-sync",
    endings.NoStopReason: "stop-reason",
    endings.EarlyStopReason: "stop-reason",
    endings.BothFlags: "one-ending",
    endings.TruncatesWhenCompleted: "reason-fits-flags",
    endings.TruncatesFirstStep: "first-step-terminates",
    endings.JudgesTwice: "scored-once",
    endings.StepsBeforeReset: "step-before-reset",
    endings.StepsAfterEnd: "step-after-end",
    endings.SurvivesErrors: "error-ends-episode",
    endings.SwallowsErrors: "error-ends-episode",
    copies.NoResetNeeded: "step-before-reset step-after-end error-ends-episode truncate-at-start "
    "truncate-midway",
    endings.TruncateTerminates: "truncate-at-start",
    endings.TruncateUnscoredMidway: "truncate-midway",
    endings.TruncateForgetsReason: "truncate-at-start truncate-midway",
    endings.TruncatesForAnyReason: "truncate-reason-refused",
    endings.TruncatesBeforeReset: "truncate-needs-episode",
    rewards.EncodesText: "any-text",
    rewards.ParsesInts: "any-text",
    rewards.SlowOnLongText: "any-text",
    rewards.HangsOnLongText: "any-text",
    rewards.EchoesTheAction: "hostile-in-space",
    rewards.CutsLongActions: "over-long-action",
    rewards.TruncatesLongActions: "over-long-action",
    rewards.PaysForEffort: "junk-earns-floor",
    rewards.Fines: "return-in-bounds",
    rewards.PaysForSilence: "empty-earns-floor",
    rewards.OracleRaises: "oracle-plays",
    rewards.OracleGivesUp: "oracle-plays",
    rewards.OracleErrs: "oracle-maximal",
    rewards.MaxReturnTooHigh: "max-return",
    rewards.AlwaysSuccess: "success",
    repetition.DrawsFromRandom: "no-global-rng",
    repetition.SeedsNumpy: "no-global-rng",
    repetition.Nondeterministic: "same-seed-same-episode",
    repetition.ReadsNumpyState: "global-seed-ignored",
    repetition.CountsEpisodes: "same-instance-twice",
    repetition.SharesClassState: "interleaved",
    repetition.DependsOnThread: "in-threads",
    repetition.AstepDiffers: "in-async",
    repetition.AtruncateDiffers: "async-truncate",
    repetition.RefusesLoops: "sync-within-loop",
    seeds.DrawsTwice: "one-draw-per-reset",
    seeds.DrawsInSteps: "one-draw-per-reset group-stays-together",
    seeds.RepeatsTheFirst: "unseeded-continues",
    seeds.DefaultSeed: "unseeded-instances-differ",
    seeds.FollowsTheActions: "group-stays-together",
    seeds.SmallSeedsOnly: "any-seed",
    seeds.OneInstance: "seeds-differ",
    seeds.AddsToTheSeed: "neighbour-seeds",
    seeds.NoSplit: "disjoint-splits",
    seeds.SplitsById: "disjoint-splits",
    seeds.WithReplacement: "epoch-without-replacement",
    seeds.SameOrderEveryEpoch: "epoch-without-replacement",
    seeds.GroupsRepeatRows: "groups-share-the-split",
    copies.SharesSequence: "vector-sync copy-keeps-sequence",
    copies.CopyForgets: "copy-continues",
    copies.CannotPickle: "pickle-continues",
    copies.HoldsALock: "not-forkable",
    copies.CopyReseeds: "copy-keeps-sequence",
    copies.CopySharesState: "copy-independent",
    copies.CopiesDataset: "shared-dataset",
    copies.RendersAllButTheLast: "render-ansi",
    copies.PrintsNothing: "render-human",
    copies.RendersAlways: "render-none",
}
REGISTERED: dict[str, tuple[dict[str, Any], str]] = {
    # An id -> how it is registered, and the rules that fail.
    "mutants/TimeLimit-v0": ({"entry_point": "mutants.sound:Sound", "max_episode_steps": 5}, "no-time-limit"),
    "mutants/Chance-v0": ({"entry_point": "mutants.makings:SaysNondeterministic"}, "nondeterministic-spec"),
    "mutants/Callable-v0": ({"entry_point": sound.Sound}, "spec-json"),
    "mutants/Vector-v0": (
        {"entry_point": "mutants.sound:Sound", "vector_entry_point": "mutants.copies:bad_vector"},
        "make-vec",
    ),
}
SLOW = {repetition.UsesHash: "another-process", makings.TextObservations: "vector-async"}
"""Mutants of the rules that start processes, which a quick check leaves out."""


def failed(report: Any) -> list[str]:
    return [result.rule for result in report.failed]


@pytest.mark.parametrize("mutant", CAUGHT, ids=lambda m: m.__name__.replace("<lambda>", "Factory"))
def test_a_mutant_fails_its_rule_and_no_other(mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostility, "SECONDS", 0.25)
    report = check_text_env(mutant, quick=True, raise_on_failure=False)
    assert sorted(failed(report)) == sorted(CAUGHT[mutant].split()), str(report)
    for result in report.failed:  # says what was observed, and where
        assert len(result.detail) > 30
        assert result.promise


@pytest.fixture
def registered() -> Iterator[None]:
    for env_id, (arguments, _) in REGISTERED.items():
        gym.register(id=env_id, **arguments)
    yield
    for env_id in REGISTERED:
        del gym.registry[env_id]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("env_id", REGISTERED)
def test_a_registered_mutant_fails_its_rule_and_no_other(env_id: str) -> None:
    report = check_text_env(env_id, quick=True, raise_on_failure=False)
    assert failed(report) == [REGISTERED[env_id][1]], str(report)


@pytest.mark.parametrize("mutant", SLOW)
def test_a_mutant_of_a_slow_rule_fails_it(mutant: Any) -> None:
    report = check_text_env(mutant, only=[SLOW[mutant]], raise_on_failure=False)
    assert failed(report) == [SLOW[mutant]], str(report)


@pytest.mark.parametrize("original", [sound.Sound, sound.Asked])
def test_what_the_mutants_are_made_of_is_sound(original: Any) -> None:
    report = check_text_env(original)
    assert not report.having(RuleStatus.WAIVED)


def test_every_rule_has_a_mutant() -> None:
    tables = [*CAUGHT.values(), *(rules for _, rules in REGISTERED.values()), *SLOW.values()]
    assert {rule for rules in tables for rule in rules.split()} == set(RULES)
    alone = {rules for rules in tables if " " not in rules}
    assert set(RULES) - alone == {
        "passive-checker",
        "reset-messages",
        "same-example-id",
        "unseeded-reset",
        "vector-sync",
    }
