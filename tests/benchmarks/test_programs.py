"""The benchmark programs run, do the same work, and say what failed."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import live_episodes
import pytest
import vector_stepping
from all import QUICK, names, rows
from peers import conversation
from peers.toy import MODES, Reference, Toy, actions
from peers.venvs import PEERS, Peer, Unavailable, run_program
from rollout_peers import compare
from scheduling.outcome import Outcome
from scheduling_simulation import conclusion

from textgym.testing import MockModelServer

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PLAYERS = [
    "play_textgym.py",
    "play_aiohttp.py",
    *(
        pytest.param(
            program,
            marks=pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="needs openai"),
        )
        for program in ("play_openai.py", "play_openai_aiohttp.py")
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
    assert line["beneath"]["python"] == platform.python_version()
    assert line["uncounted_children"] == 0
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


def test_a_peer_without_a_folder_is_named_and_not_installed(tmp_path):
    with pytest.raises(Unavailable, match="needs verifiers==0.3.1 in a folder of --venvs"):
        run_program(PEERS["verifiers"], None, [])
    kept = tmp_path / "figures.json"
    sizes = ("--episodes", "4", "--repeats", "1", "--turns", "5")
    done = run("rollout_peers.py", "--only", "textgym", "atropos", *sizes, "--json", str(kept))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "could not be measured: needs atroposlib==0.4.0" in done.stdout
    table = {where: (value, verdict) for where, value, verdict in rows(json.loads(kept.read_text()))}
    value, verdict = table["5 turns, CPU a turn, Atropos / textgym"]
    assert value == "-"
    assert verdict == "NOT MEASURED (at least 8.0): needs atroposlib==0.4.0 in a folder of --venvs"


def test_peers_are_not_sent_through_a_proxy(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    program = tmp_path / "play_it.py"
    program.write_text(
        "import json, urllib.request as r; print(json.dumps(bool(r.proxy_bypass('127.0.0.1'))))"
    )
    assert run_program(Peer(label="it", program=str(program)), tmp_path, []) is True


def test_textgym_plays_on_the_same_event_loop_as_its_peers(tmp_path):
    (tmp_path / "uvloop.py").write_text("raise SystemExit('uvloop was taken')")
    with MockModelServer(answer="<guess>1</guess>") as server:
        sizes = ("--episodes", "2", "--turns", "1", "--warmup", "0", "--base-url", server.base_url)
        command = [sys.executable, str(BENCHMARKS / "peers" / "play_textgym.py"), *sizes]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(BENCHMARKS.parent)])}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]


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
        return {"cpu_ms_of_repeats": list(times), "turns_per_second_of_repeats": [10.0 / t for t in times]}

    systems = {
        "textgym": row(1.0, 2.0, 1.0),
        "aiohttp": row(1.0, 1.0, 0.5),
        "atropos": {"failed": "why"},
        "verifiers": row(30.0, 20.0, 25.0),
    }
    compared = compare(systems, 5)
    assert compared["CPU a turn, textgym / raw aiohttp"] == {"ratio": 2.0, "at_most": 1.5}
    assert compared["CPU a turn, verifiers / textgym"] == {"ratio": 25.0, "at_least": 20.0}
    assert compared["turns a second, textgym / verifiers"] == {"ratio": 25.0}
    assert compared["CPU a turn, Atropos / textgym"] == {"missing": "why", "at_least": 8.0}
    assert "at_most" not in compare(systems, 5, concurrency=8)["CPU a turn, textgym / raw aiohttp"]
    alone = compare({"textgym": systems["textgym"]}, 5)
    assert alone["CPU a turn, textgym / raw aiohttp"]["missing"] == "aiohttp was not asked for"


def test_the_overhead_benchmark_records_all_tokens_and_has_its_bars(tmp_path):
    kept = tmp_path / "figures.json"
    sizes = ("--episodes", "3", "--repeats", "1", "--turns", "1", "--tokens", "0", "512")
    done = run("rollout_overhead.py", *sizes, "--json", str(kept))
    assert done.returncode == 0, done.stderr[-2000:]
    table = json.loads(kept.read_text())
    assert [(name, row["at_most"]) for name, row in table.items()] == [
        ("1 turns, no tokens", 2.0),
        ("1 turns, 512 tokens", 2.0),
    ]
    assert all(row["textgym_ms"] > 0 and row["by_hand_ms"] > 0 for row in table.values())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc/self")
def test_live_episodes_are_measured_and_compared(tmp_path):
    kept = tmp_path / "figures.json"
    done = run("live_episodes.py", "http", "tokens", "--most", "30", "--json", str(kept))
    assert done.returncode == 0, done.stderr[-2000:]
    document = json.loads(kept.read_text())
    (http,), (bare, full) = document["cases"]["http"], document["cases"]["tokens"]
    assert (http["episodes"], http["errors"], http["sockets"] > 0) == (30, 0, True)
    sampled = 5 * (512 + 40) + 60 - 40  # a prompt of 60, and 40 more before each further turn
    assert (bare["array_bytes_per_episode"], full["array_bytes_per_episode"]) == (0, 9 * sampled)
    bars = {name: row.get("at_most") for name, row in document["compared"].items()}
    assert bars["30 live episodes over HTTP, errors"] == 0
    assert bars["30 live episodes over HTTP, bytes an episode / 20000"] is None, "the bar is of 10,000"
    assert bars["bytes that tokens add / their arrays"] == 1.25


def test_growth_is_told_by_what_is_added():
    def row(episodes, turns, held):
        cpu = {"cpu_ms_per_turn": 1.0}
        return {"episodes": episodes, "turns": turns, "bytes_per_episode": held, **cpu}

    turns = [row(200, n, 6000 + 1000 * n) for n in (1, 4, 16, 64, 256)]
    held = live_episodes.compare({"http": [row(10_000, 5, 25_000) | {"errors": 1}]})
    assert held["10000 live episodes over HTTP, errors"] == {"ratio": 1, "at_most": 0}
    assert held["10000 live episodes over HTTP, bytes an episode / 20000"] == {"ratio": 1.25, "at_most": 1.0}
    compared = live_episodes.compare({"turns": turns, "episodes": [row(100, 5, 10), row(10_000, 5, 12)]})
    further = "64 to 256 turns, bytes of a further turn / those before"
    assert compared[further] == {"ratio": 1.0, "at_most": 1.25}
    assert compared["10000 / 100 episodes, bytes an episode"]["ratio"] == pytest.approx(1.2)
    square = [row(200, n, 6000 + n * n) for n in (1, 4, 16, 64, 256)]
    assert live_episodes.compare({"turns": square})[further]["ratio"] == pytest.approx(4.0)


def test_the_vector_benchmark_finds_all_texts_right(tmp_path):
    kept = tmp_path / "figures.json"
    sizes = ("--members", "4", "--steps", "30", "--repeats", "1", "--without", "async", "gem", "gem-threads")
    done = run("vector_stepping.py", *sizes, "--json", str(kept))
    assert done.returncode == 0, done.stderr[-2000:]
    table = json.loads(kept.read_text())
    assert len(table) == 6
    toys = [row for title, rows in table.items() if title.startswith("toy") for row in rows.values()]
    assert len(toys) == 9
    assert all(row["texts_are_right"] for row in toys)
    assert "WRONG" not in done.stdout
    bars = [verdict for _, _, verdict in rows(table) if verdict]
    assert len(bars) == 6 + 3, "SyncVectorEnv in three modes of two environments, and right texts"


def test_wrong_texts_are_seen(monkeypatch):
    assert vector_stepping.texts_are_right("GroupVectorEnv", 3, "same_step")
    monkeypatch.setattr(Toy, "answer", lambda self, action: ("the same for all", 0.0, False))
    monkeypatch.setattr(vector_stepping, "expected", lambda *_: [["as it should be"] * 3] * 40)
    assert not vector_stepping.texts_are_right("GroupVectorEnv", 3, "same_step")


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
    assert len(list(rows(tables.pop("compared")))) == 2 * 3 * 2
    assert {"lognormal", "pareto", "routing and order", "2 replicas", "4 replicas"} == tables.keys()
    for table in tables.values():
        for name, row in table.items():
            assert 0.0 <= row["idle"] <= 1.0, name
            # Groups that were generated before may be trained on in a burst.
            assert row["useful"] <= 1.5, name
            if not any(word in name for word in ("dropped", "over-sampling", "extra")):
                assert row["kept_length"] == pytest.approx(1.0), name


def test_what_the_figures_do_not_bear_out_is_marked():
    class Same(dict):
        def __missing__(self, name):
            return Outcome(
                throughput=0.5,
                useful=0.5,
                idle=0.9,
                wait_p99=1.0,
                kept_length=1.0,
                staleness=0.0,
                stalest=0,
                seconds=1.0,
            )

    said = conclusion({"lognormal": Same(), "pareto": Same(), "routing and order": Same()})
    points = said.split("\n- ")[1:]
    marked = [point.startswith("NOT SO in this run: ") for point in points]
    assert marked == [False, True, True, True, True, True, False]


def test_one_command_runs_them_and_gathers_the_ratios(tmp_path):
    kept = tmp_path / "all.json"
    arguments = "--members 2 --steps 10 --repeats 1 --without async gem gem-threads"
    done = run(
        "all.py", "--only", "vector_stepping", "--args", "vector_stepping", arguments, "--json", str(kept)
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "toy, same_step, SyncVectorEnv" in done.stdout
    document = json.loads(kept.read_text())
    assert document["machine"]["python"] == platform.python_version()
    assert done.stdout.splitlines()[-1].startswith("bars: ")
    assert document["benchmarks"]["vector_stepping"]["figures"]


def test_one_command_names_what_failed_and_fails(tmp_path):
    kept = tmp_path / "all.json"
    chosen = ("--only", "vector_stepping", "--args", "vector_stepping", "x --no-such")
    done = run("all.py", *chosen, "--json", str(kept))
    assert done.returncode == 1
    assert "vector_stepping  FAILED: ended with 2: " in done.stdout
    failed = json.loads(kept.read_text())["benchmarks"]["vector_stepping"]["failed"]
    assert failed.endswith("unrecognized arguments: x --no-such")


def test_quick_sizes_are_there_for_every_benchmark_and_taken(tmp_path):
    assert QUICK.keys() == set(names())
    done = run("all.py", "--quick", "--only", "import_time")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "(medians of 3)" in done.stdout
    assert done.stdout.splitlines()[-1] == "bars: none"


def test_a_benchmark_whose_package_is_missing_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "math_verify.py").write_text("raise ModuleNotFoundError(\"No module named 'math_verify'\")")
    command = [sys.executable, str(BENCHMARKS / "all.py"), "--only", "verify_math"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(BENCHMARKS.parent)])}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "verify_math  MISSING: No module named 'math_verify'" in done.stdout


def test_ratios_carry_their_bars():
    figures = {
        "a": {"ratio": 1.4, "at_most": 1.5},
        "b": {"compared": {"x": {"ratio": 3, "at_least": 8.0}}},
        "c": {"overall_ratio": 2.0},
        "d": [{"ratio": 1.0}],
        "e": {"missing": "why", "at_least": 20.0},
    }
    assert list(rows(figures)) == [
        ("a", "1.40", "holds (at most 1.5)"),
        ("b, x", "3.00", "FAILS (at least 8.0)"),
        ("c, overall_ratio", "2.00", ""),
        ("d, 0", "1.00", ""),
        ("e", "-", "NOT MEASURED (at least 20.0): why"),
    ]
