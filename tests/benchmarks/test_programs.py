"""The benchmark programs run, do the same work, and say what failed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from all import ratios
from peers import conversation
from peers.toy import MODES, Reference, Toy, actions
from peers.venvs import PEERS, Peer, Unavailable, run_program
from rollout_peers import compare

from textgym.testing import MockModelServer

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PLAYERS = [
    "play_textgym.py",
    "play_aiohttp.py",
    pytest.param(
        "play_openai.py",
        marks=pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="needs openai"),
    ),
]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
    command = [sys.executable, str(BENCHMARKS / program), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=110)


def played(program: str, turns: int) -> tuple[dict, list]:
    """A player's line, and its conversations as the server saw them, told apart by their last request."""
    with MockModelServer(answer="<guess>1</guess>") as server:
        sizes = ("--episodes", "6", "--turns", str(turns), "--concurrency", "3", "--warmup", "0")
        done = run(f"peers/{program}", "--base-url", server.base_url, *sizes)
        assert done.returncode == 0, done.stderr[-2000:]
        said = [body["messages"] for body in server.requests]
        assert all(body["model"] == conversation.MODEL for body in server.requests)
        assert all(body["max_tokens"] == conversation.MAX_TOKENS for body in server.requests)
    return json.loads(done.stdout), said


@pytest.mark.parametrize("program", PLAYERS)
@pytest.mark.parametrize("turns", [1, 3])
def test_players_do_the_same_work(program, turns):
    line, said = played(program, turns)
    assert line["cpu_ms_per_turn"] > 0
    assert line["turns_per_second"] > 0
    expected = [{"role": "user", "content": conversation.rules(turns)}]
    wanted = [list(expected)]
    for left in range(turns - 1, 0, -1):
        expected.append({"role": "assistant", "content": "<guess>1</guess>"})
        expected.append({"role": "user", "content": conversation.hint("<guess>1</guess>", 50, left)})
        wanted.append(list(expected))
    assert sorted(map(json.dumps, said)) == sorted(map(json.dumps, wanted * 6))


def test_the_rules_of_the_conversation():
    numbers = {conversation.number_of(index) for index in range(1000)}
    assert numbers == set(range(conversation.LOW, conversation.HIGH + 1)), "1 is never the number"
    assert conversation.won("so <guess> 50 </guess>", 50)
    assert not conversation.won("<guess>51</guess>", 50)
    assert conversation.hint("<guess>51</guess>", 50, 1) == "My number is lower than 51. 1 guess left."
    assert conversation.hint("50", 50, 2).startswith("That is not one whole number")


def test_a_peer_that_fails_is_unavailable_with_its_reason(tmp_path):
    program = tmp_path / "play_bad.py"
    program.write_text("raise SystemExit('no such model')")
    peer = Peer(label="bad", program=str(program))
    with pytest.raises(Unavailable, match="ended with 1: no such model"):
        run_program(peer, tmp_path, [])
    program.write_text("print('not json')")
    with pytest.raises(Unavailable, match="printed no JSON line but 'not json"):
        run_program(peer, tmp_path, [])


def test_an_environment_that_cannot_be_made_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(Unavailable, match="no-python"):
        run_program(PEERS["aiohttp"], tmp_path, [])


def test_the_rollout_benchmark_prints_and_keeps_its_table(tmp_path):
    kept = tmp_path / "figures.json"
    sizes = ("--episodes", "4", "--repeats", "1", "--turns", "1", "--concurrency", "4")
    done = run("rollout_peers.py", "--only", "textgym", *sizes, "--json", str(kept))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "textgym 0" in done.stdout
    systems = json.loads(kept.read_text())["1 turns"]["systems"]
    assert systems["textgym"]["cpu_ms_per_turn"] > 0


def test_failures_are_shown_and_left_out_of_ratios():
    def row(*times):
        return {"cpu_ms_of_repeats": list(times), "turns_per_second": 10.0}

    rows = {
        "textgym": row(1.0, 2.0, 1.0),
        "aiohttp": row(1.0, 1.0, 0.5),
        "atropos": {"failed": "why"},
        "verifiers": row(30.0, 20.0, 25.0),
    }
    compared = compare(rows, 5)
    assert compared["textgym / raw aiohttp"] == {"ratio": 2.0, "at_most": 1.5}
    assert compared["verifiers / textgym"] == {"ratio": 25.0, "at_least": 20.0}
    assert not any("Atropos" in name for name in compared)


def test_the_vector_benchmark_finds_all_texts_right(tmp_path):
    kept = tmp_path / "figures.json"
    sizes = ("--members", "4", "--steps", "30", "--repeats", "1", "--without", "async", "gem", "gem-threads")
    done = run("vector_stepping.py", *sizes, "--json", str(kept))
    assert done.returncode == 0, done.stderr[-2000:]
    table = json.loads(kept.read_text())
    assert len(table) == 6
    toys = [row for title, rows in table.items() if title.startswith("toy") for row in rows.values()]
    assert len(toys) == 6
    assert all(row["texts_are_right"] for row in toys)
    assert "WRONG" not in done.stdout


@pytest.mark.parametrize("mode", MODES)
def test_the_toy_tells_members_turns_and_episodes_apart(mode):
    reference = Reference(8, mode)
    shown = []
    for turn in range(30):
        shown.append(reference.step(actions(turn, 8)))
        if mode == "disabled" and any(reference.ended):
            shown.append(reference.reset_ended())
    for before, after in pairwise(shown):
        assert before != after
    assert all(len(set(texts)) == 8 for texts in shown)
    assert {text.partition(":")[2] for texts in shown for text in texts} >= {" ", " right ☃"}
    assert Toy().begin(3) == "3: begin"


def test_the_simulation_prints_its_tables_and_what_they_mean(tmp_path):
    kept = tmp_path / "figures.json"
    done = run("scheduling_simulation.py", "--replicas", "2", "4", "--batches", "2", "--json", str(kept))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "What it says" in done.stdout
    assert "Size: from 2 to 4 replicas" in done.stdout
    tables = json.loads(kept.read_text())
    assert {"lognormal", "pareto", "routing and order", "2 replicas", "4 replicas"} == tables.keys()
    for rows in tables.values():
        for name, row in rows.items():
            assert 0.0 <= row["idle"] <= 1.0, name
            assert row["useful"] <= 1.0 + 0.5, (
                name
            )  # groups that were generated before may be trained on in a burst
            if "dropped" not in name and "over-sampling" not in name:
                assert row["kept_length"] == pytest.approx(1.0), name


def test_one_command_runs_them_and_gathers_the_ratios(tmp_path):
    kept = tmp_path / "all.json"
    arguments = "--members 2 --steps 10 --repeats 1 --without async gem gem-threads"
    done = run(
        "all.py", "--only", "vector_stepping", "--args", "vector_stepping", arguments, "--json", str(kept)
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "toy, same_step, SyncVectorEnv" in done.stdout
    document = json.loads(kept.read_text())
    assert document["machine"]["python"].startswith("3.")
    assert document["benchmarks"]["vector_stepping"]["figures"]


def test_one_command_names_what_failed_and_fails(tmp_path):
    kept = tmp_path / "all.json"
    chosen = ("--only", "vector_stepping", "--args", "vector_stepping", "x --no-such")
    done = run("all.py", *chosen, "--json", str(kept))
    assert done.returncode == 1
    assert "vector_stepping  ended with 2" in done.stdout
    assert json.loads(kept.read_text())["benchmarks"]["vector_stepping"]["failed"] == "ended with 2"


def test_ratios_carry_their_bars():
    figures = {
        "a": {"ratio": 1.4, "at_most": 1.5},
        "b": {"compared": {"x": {"ratio": 3, "at_least": 8.0}}},
        "c": {"overall_ratio": 2.0},
        "d": [{"ratio": 1.0}],
    }
    assert list(ratios(figures)) == [
        ("a", 1.4, "holds (at most 1.5)"),
        ("b, x", 3.0, "FAILS (at least 8.0)"),
        ("c, overall_ratio", 2.0, ""),
    ]
