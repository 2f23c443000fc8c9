"""``--model`` against a server on loopback: success, refusal, silence, resuming, dry runs."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from command_line import Cli

from textgym import Run
from textgym.testing import MockModelServer

ECHO = "textgym/Echo-v0"


def words(server: MockModelServer, *more: object) -> list[object]:
    return ["eval", ECHO, "--model", "mock", "--base-url", server.base_url, "-n", 6, "-g", 2, *more]


def test_a_model_plays(cli: Cli, server: MockModelServer) -> None:
    result = cli(*words(server, "--out", "x", "--temperature", 0.5, "--max-tokens", 9, "--stop", "END"))
    assert result.code == 0
    run = Run.load("x")
    assert result.out == f"{run.summary()}\n"
    assert run.summary().reward == 1.0
    assert run.summary().usage.completion_tokens
    assert server.counters["chat"] == 12
    body = server.requests[0]
    assert (body["temperature"], body["max_tokens"], body["stop"]) == (0.5, 9, ["END"])
    assert run[0].tokens is None


def test_tokens_where_they_are_asked_for(cli: Cli, server: MockModelServer) -> None:
    assert cli(*words(server, "--out", "x", "--tokens")).code == 0
    tokens = Run.load("x")[0].tokens
    assert tokens is not None
    assert tokens.mask.sum() > 0


def test_several_servers(cli: Cli, server: MockModelServer) -> None:
    with MockModelServer() as other:
        assert cli(*words(server, "--base-url", other.base_url)).code == 0
        assert server.counters["chat"] > 0
        assert other.counters["chat"] > 0
        assert server.counters["chat"] + other.counters["chat"] == 12


def test_the_key_comes_from_the_environment_and_is_never_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    with MockModelServer(api_key="sk-very-secret") as server:
        result = cli(*words(server, "--api-key-env", "MY_KEY", "--out", "x"))
    assert result.code == 0
    files = b"".join(path.read_bytes() for path in Path("x").iterdir())
    assert "very-secret" not in result.out + result.err + files.decode()


def test_a_refused_key_stops_the_run_before_the_first_completion(cli: Cli) -> None:
    with MockModelServer(api_key="secret") as server:
        result = cli(*words(server, "--out", "x"))
        assert result.code == 1
        assert server.base_url in result.error
        assert "credentials are refused" in result.error
        assert server.counters["chat"] == 0
    assert result.out == ""
    assert result.err.count("\n") == 1


def test_a_key_that_is_refused_later_stops_the_run_at_once(cli: Cli) -> None:
    with MockModelServer(chaos=[None, None, *["401"] * 1000]) as server:
        result = cli(*words(server, "--max-concurrency", 1, "-n", 500, "--out", "x"))
        assert result.code == 1
        assert server.counters["chat"] == 3
    assert "Incorrect API key" in result.error
    assert "2 in 1 groups, 0 errors" in result.out
    assert len(Run.load("x")) == 2
    assert "play the 998 that are missing: textgym eval" in result.err


def test_a_server_that_is_not_there(cli: Cli) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        for more in ([], ["--dry-run"], ["--json"]):
            began = time.monotonic()
            result = cli("eval", ECHO, "--model", "m", "--base-url", url, "-n", 100, *more)
            assert time.monotonic() - began < 5.0
            assert result.code == 1
            assert url in result.error
        assert result.json["error"] == result.error
        assert result.json["summary"]["episodes"] == 0


def test_a_server_that_rejects_everything_alike(cli: Cli) -> None:
    with MockModelServer(chaos="404") as server:
        result = cli(*words(server, "-n", 500, "--max-concurrency", 8))
        assert result.code == 1
        assert server.counters["chat"] < 50
    assert "all failed alike" in result.error
    assert "The model does not exist" in result.error


def test_nothing_is_paid_for_what_cannot_be_kept(cli: Cli, server: MockModelServer) -> None:
    Path("file").touch()
    result = cli(*words(server, "--out", "file/run"))
    assert result.code == 1
    assert result.error == "cannot write the run directory file/run: Not a directory"
    assert server.counters["chat"] == 0


def test_failed_episodes_are_played_again(cli: Cli, server: MockModelServer) -> None:
    with MockModelServer(chaos=[None, "400"] * 6) as shaky:
        result = cli(*words(shaky, "--out", "x", "--max-concurrency", 1))
        assert result.code == 0
        assert "12 in 6 groups, 6 errors" in result.out
        assert "6 of 12 episodes failed and are in no mean:\n  6 x policy error in turn 0" in result.err
    result = cli(*words(server, "--out", "x", "--resume"))
    assert result.code == 0
    assert server.counters["chat"] == 6
    assert "12 in 6 groups, 0 errors" in result.out
    assert result.out == f"{Run.load('x').summary()}\n"


def test_a_dry_run_asks_the_server_if_it_is_there_and_nothing_else(
    cli: Cli, server: MockModelServer, tmp_path: Path
) -> None:
    result = cli(*words(server, "--out", "x", "--dry-run"))
    assert result.code == 0
    assert f"{server.base_url} answers" in result.out
    assert server.counters["models"] == 1
    assert server.counters["chat"] == 0
    assert list(tmp_path.iterdir()) == []
    assert cli(*words(server, "--dry-run", "--json")).json["base_url"] == [server.base_url]
