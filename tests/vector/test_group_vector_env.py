"""GroupVectorEnv against Gymnasium's own vector environments, its wrappers, and its own promises."""

from __future__ import annotations

import asyncio
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

import textgym
from textgym import MultiTurnEnv, SingleTurnEnv
from textgym.errors import ConfigError
from textgym.registration import registered_ids
from textgym.vector import GroupVectorEnv

IDS = registered_ids()
ACTIONS = ("5", "yes", "<answer>3</answer>", "crane", "", "50", "\ud800")
SEEDS = [3, 3, 3, 8, 8, 8]


def acts(turn: int, count: int) -> tuple[str, ...]:
    return tuple(ACTIONS[(turn + 3 * member) % len(ACTIONS)] for member in range(count))


def play(envs: Any, turns: int = 9, seed: Any = SEEDS) -> list[Any]:
    begun = envs.reset(seed=list(seed))
    return [begun, *(envs.step(acts(turn, envs.num_envs)) for turn in range(turns))]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP], ids=lambda m: m.value)
@pytest.mark.parametrize("env_id", IDS)
def test_it_equals_gymnasiums_sync_vector_env(env_id, mode):
    ours = gym.make_vec(env_id, num_envs=6, group_size=3, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: gym.make(env_id)] * 6, autoreset_mode=mode)
    for call, (mine, reference) in enumerate(zip(play(ours), play(theirs), strict=True)):
        assert data_equivalence(mine, reference), f"call {call}: {mine}\n{reference}"
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata == theirs.metadata


def test_it_equals_gymnasiums_async_vector_env():
    ours = gym.make_vec("textgym/GuessNumber-v0", num_envs=2, autoreset_mode=AutoresetMode.SAME_STEP)
    theirs = AsyncVectorEnv(
        [lambda: gym.make("textgym/GuessNumber-v0")] * 2, autoreset_mode=AutoresetMode.SAME_STEP
    )
    try:
        for mine, reference in zip(play(ours, seed=[1, 2]), play(theirs, seed=[1, 2]), strict=True):
            assert data_equivalence(mine, reference)
    finally:
        theirs.close(terminate=True)


@pytest.mark.parametrize("env_id", IDS)
def test_without_autoreset_it_equals_gymnasiums_with_masks(env_id):
    ours = gym.make_vec(env_id, num_envs=6, group_size=3)
    theirs = SyncVectorEnv([lambda: gym.make(env_id)] * 6, autoreset_mode=AutoresetMode.DISABLED)
    assert data_equivalence(ours.reset(seed=SEEDS), theirs.reset(seed=list(SEEDS)))
    for turn in range(9):
        mine, reference = ours.step(acts(turn, 6)), theirs.step(acts(turn, 6))
        assert data_equivalence(mine, reference), turn
        over = reference[2] | reference[3]
        assert (ours.active == ~over).all()
        if over.any():
            options = {"reset_mask": over}
            assert data_equivalence(
                ours.reset(options=options), theirs.reset(options={"reset_mask": over.copy()})
            )
            assert options == {"reset_mask": over}, "the caller's dict is the caller's"


def test_over_a_factory_of_another_kind():
    ours = GroupVectorEnv(lambda: gym.make("CartPole-v1"), num_envs=3, autoreset_mode=AutoresetMode.NEXT_STEP)
    theirs = SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 3)
    assert data_equivalence(ours.reset(seed=[1, 2, 3]), theirs.reset(seed=[1, 2, 3]))
    for turn in range(60):
        actions = np.array([turn % 2, 1, 0])
        assert data_equivalence(ours.step(actions), theirs.step(actions)), turn


# ---------------------------------------------------------------------- groups


def test_members_of_a_group_share_tasks_over_many_episodes():
    envs = gym.make_vec("textgym/Math-v0", num_envs=6, group_size=3, autoreset_mode=AutoresetMode.SAME_STEP)
    seen = [envs.reset(seed=0)[0], *(envs.step(acts(turn, 6))[0] for turn in range(5))]
    for observations in seen:
        assert len(set(observations[:3])) == len(set(observations[3:])) == 1
    assert len({o for observations in seen for o in observations}) == 12
    assert envs.group_ids.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("env_id", ["textgym/Math-v0", "textgym/Tutor-v0"])
def test_groups_get_the_tasks_of_a_rollout(env_id):
    run = textgym.rollout(env_id, lambda observation: "no", num_examples=8, seed=5)
    rolled = [trajectory.example_id for trajectory in run]
    envs = gym.make_vec(env_id, num_envs=8, group_size=2)
    played = []
    _, infos = envs.reset(seed=5)
    played += list(infos["example_id"][::2])
    assert list(infos["example_id"][1::2]) == played
    _, infos = envs.reset()
    played += list(infos["example_id"][::2])
    assert played == rolled


def test_a_finite_dataset_is_visited_without_replacement():
    rows = [{"question": f"{n}?", "answer": str(n)} for n in range(12)]
    envs = GroupVectorEnv(lambda: SingleTurnEnv(rows), num_envs=8, group_size=2)
    seen = [
        observation for turn in range(3) for observation in envs.reset(seed=1 if turn == 0 else None)[0][::2]
    ]
    assert sorted(seen) == sorted(row["question"] for row in rows)


def test_options_name_a_task_a_group():
    rows = [{"question": f"{n}?", "answer": str(n)} for n in range(12)]
    envs = GroupVectorEnv(lambda: SingleTurnEnv(rows), num_envs=4, group_size=2)
    assert envs.reset(seed=1, options={"index": [3, 7]})[0] == ("3?", "3?", "7?", "7?")
    assert envs.reset(seed=1, options={"index": 5})[0] == ("5?",) * 4
    assert envs.reset(options={"example": [{"question": "a"}, {"question": "b"}]})[0] == ("a", "a", "b", "b")
    with pytest.raises(ConfigError, match="one for each of the 2 groups"):
        envs.reset(options={"index": [1, 2, 3]})


def test_one_seed_a_group_is_taken_as_it_is():
    envs = gym.make_vec("textgym/Math-v0", num_envs=4, group_size=2)
    alone = gym.make("textgym/Math-v0")
    observations, _ = envs.reset(seed=[7, 9])
    assert observations == (alone.reset(seed=7)[0],) * 2 + (alone.reset(seed=9)[0],) * 2


# ---------------------------------------------------------------------- idling and parts


def test_a_finished_member_reports_once_and_idles():
    envs = gym.make_vec("textgym/GuessNumber-v0", num_envs=4, group_size=2)
    envs.reset(seed=0)
    first = envs.envs[0].unwrapped.oracle
    ended = None
    for _ in range(40):
        actions = [envs.envs[0].unwrapped.oracle() if envs.active[0] else None, "1", "1", "1"]
        observations, rewards, terminations, truncations, infos = envs.step(actions)
        if ended is not None:
            assert (observations[0], rewards[0], terminations[0], truncations[0]) == ("", 0.0, False, False)
            assert not envs.active[0]
            assert not infos["_messages"][0] if "_messages" in infos else True
        if terminations[0]:
            assert ended is None
            ended = rewards[0]
        if not envs.active.any():
            break
    assert ended == 1.0
    assert first is not None
    assert not envs.active.any()
    observations, rewards, *_, infos = envs.step([None] * 4)
    assert observations == ("",) * 4
    assert infos == {}
    assert not rewards.any()


def test_episode_statistics_count_no_phantoms_even_with_partial_resets():
    envs = RecordEpisodeStatistics(gym.make_vec("textgym/GuessNumber-v0", num_envs=3, max_turns=3))
    envs.reset(seed=0)
    lengths = []
    for turn in range(6):
        *_, infos = envs.step(["1", "2", "3"])
        if "episode" in infos:
            lengths += infos["episode"]["l"][infos["_episode"]].tolist()
        if turn == 2:
            envs.reset(options={"reset_mask": np.array([True, False, False])})
    assert lengths == [3, 3, 3, 3]
    assert envs.episode_count == 4


def test_info_lists_of_gymnasiums_wrapper():
    envs = DictInfoToList(gym.make_vec("textgym/Math-v0", num_envs=2))
    _, infos = envs.reset(seed=0)
    assert [set(info) >= {"messages", "example_id"} for info in infos] == [True, True]
    *_, infos = envs.step(["1", "2"])
    assert [info["stop_reason"] for info in infos] == ["format"] * 2


def test_some_members_are_stepped_and_the_others_untouched():
    envs = gym.make_vec("textgym/GuessNumber-v0", num_envs=4)
    envs.reset(seed=0)
    observations, *_, infos = envs.step_some([2, 0], ["50", "40"])
    assert [bool(text) for text in observations] == [True, False, True, False]
    assert infos["_messages"].tolist() == [True, False, True, False]
    assert envs.active.all()
    assert [env.unwrapped.turns for env in envs.envs] == [1, 0, 1, 0]
    assert envs.envs[2].unwrapped.answers == ["50"]


@pytest.mark.parametrize("indices", [[0, 0], [4], [-1]])
def test_indices_are_checked(indices):
    envs = gym.make_vec("textgym/GuessNumber-v0", num_envs=4)
    envs.reset(seed=0)
    with pytest.raises(ConfigError, match="indices"):
        envs.step_some(indices, ["1"] * len(indices))
    assert [env.unwrapped.turns for env in envs.envs] == [0] * 4


def test_awaitable_twins_equal_the_calls():
    one, two = (gym.make_vec("textgym/GuessNumber-v0", num_envs=4, group_size=2) for _ in range(2))

    async def main() -> None:
        assert data_equivalence(await two.areset(seed=3), one.reset(seed=3))
        for turn in range(4):
            assert data_equivalence(await two.astep(acts(turn, 4)), one.step(acts(turn, 4)))
        assert data_equivalence(await two.astep_some([1], ["9"]), one.step_some([1], ["9"]))

    asyncio.run(main())


class Waiting(MultiTurnEnv):
    """Every answer waits until all members wait."""

    together = 0
    most = 0

    async def env_response(self, messages: Any, state: Any) -> str:
        Waiting.together += 1
        Waiting.most = max(Waiting.most, Waiting.together)
        await asyncio.sleep(0.02)
        Waiting.together -= 1
        return "go on"


def test_members_that_wait_wait_at_the_same_time():
    envs = GroupVectorEnv(lambda: Waiting([{"question": "?"}], max_turns=9), num_envs=8)
    envs.reset(seed=0)
    envs.step(["a"] * 8)  # the first member shows that it waits
    assert Waiting.most == 7
    envs.step(["a"] * 8)
    assert Waiting.most == 8
    assert [env.unwrapped.turns for env in envs.envs] == [2] * 8


# ---------------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_envs": 7, "group_size": 2}, "multiple of group_size, such as 6"),
        ({"num_envs": 1, "group_size": 2}, "such as 2"),
        ({"num_envs": 0}, "num_envs is 0"),
        ({"num_envs": 2, "group_size": True}, "group_size is True"),
    ],
)
def test_sizes_are_checked(arguments, match):
    with pytest.raises(ConfigError, match=match):
        GroupVectorEnv("textgym/Echo-v0", **arguments)


def test_misuse_has_clear_errors():
    envs = gym.make_vec("textgym/Echo-v0", num_envs=2)
    with pytest.raises(ResetNeeded):
        envs.step(["a", "b"])
    envs.reset(seed=0)
    for actions in (["a"], "ab", ["a"] * 3):
        with pytest.raises(ConfigError, match="one for each of the 2 members"):
            envs.step(actions)
    with pytest.raises(ConfigError, match="members or 2 groups"):
        envs.reset(seed=[1, 2, 3])
    for mask in ([True, False], np.array([1, 0]), np.zeros(2, bool), np.ones(3, bool)):
        with pytest.raises(ConfigError, match="reset_mask"):
            envs.reset(options={"reset_mask": mask})
    assert envs.active.all()
