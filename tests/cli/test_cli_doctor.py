"""``textgym doctor``: what it finds, and what it calls a problem."""

from __future__ import annotations

from importlib import metadata

import pytest
from command_line import Cli

from textgym.cli import doctor
from textgym.testing import MockModelServer


def found(cli: Cli, *words: object) -> tuple[int, dict[str, tuple[str, str | None]]]:
    result = cli("doctor", "--json", *words)
    findings = {row["topic"]: (row["found"], row["problem"]) for row in result.json["findings"]}
    assert result.json["ok"] == (result.code == 0)
    return result.code, findings


def test_it_lists_what_is_installed(cli: Cli) -> None:
    code, findings = found(cli)
    assert code == 0
    for name in ("gymnasium", "numpy", "aiohttp", "orjson", "rich", "pettingzoo"):
        assert findings[name] == (metadata.version(name), None)
    assert findings["environments"][0].endswith(" ids")
    assert "[dev]" not in findings
    result = cli("doctor")
    assert result.code == 0
    assert result.out.endswith("\nno problems\n")


def test_missing_and_old_packages(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor._version
    changed = {"numpy": "1.9.0", "orjson": None, "openai": None}
    monkeypatch.setattr(doctor, "_version", lambda name: changed.get(name, installed(name)))
    code, findings = found(cli)
    assert code == 1
    assert findings["numpy"] == ("1.9.0", 'too old: pip install "numpy>=1.26"')
    assert findings["orjson"] == ("missing", 'pip install "orjson>=3.10"')
    assert findings["[openai]"] == ('no: pip install "textgym[openai]"', None)
    out = cli("doctor").out
    assert 'problem: orjson: pip install "orjson>=3.10"' in out
    assert "no problems" not in out


def test_too_few_open_files(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    granted = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 200))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: granted.append(limits))
    code, findings = found(cli)
    assert code == 1
    assert findings["open files"] == (
        "100",
        "256 episodes at a time need 320 open files and the system allows 200: raise it (ulimit -n 320), or "
        "use --max-concurrency 136",
    )
    assert granted == [(200, 200)]


def test_a_limit_that_can_be_raised_is_no_problem(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    granted = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: granted.append(limits))
    assert found(cli)[1]["open files"] == ("100", None)
    assert granted == [(320, -1)]


def test_a_server_and_a_model(cli: Cli) -> None:
    with MockModelServer(answer="ok\x1b[31m") as server:
        code, findings = found(cli, "--base-url", server.base_url, "--model", "mock")
        assert code == 0
        assert findings["server"] == (f"{server.base_url} answers", None)
        assert findings["model"][0].startswith("mock says 'ok\\x1b[31m' in ")
        assert findings["model"][0].endswith("with token ids and usage")
        assert server.counters["chat"] == 2  # the first asks how the server tells tokens
        assert "\x1b" not in cli("doctor", "--base-url", server.base_url, "--model", "mock").out


@pytest.mark.parametrize("chaos", ["404", "401"])
def test_a_model_that_is_not_there(cli: Cli, chaos: str) -> None:
    with MockModelServer(chaos=chaos) as server:
        code, findings = found(cli, "--base-url", server.base_url, "--model", "mock")
    assert code == 1
    assert findings["server"][1] is None
    assert findings["model"][0] == "mock gives no completion"


def test_a_server_of_no_use(cli: Cli) -> None:
    code, findings = found(cli, "--base-url", "http://127.0.0.1:1/v1")
    assert code == 1
    assert "http://127.0.0.1:1/v1" in str(findings["server"][1])
    assert found(cli, "--base-url", "nonsense")[1]["server"][0] == "not asked"
