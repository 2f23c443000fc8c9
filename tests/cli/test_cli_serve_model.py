"""``textgym serve-model`` in a process of its own, as a user starts and ends it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from command_line import Cli, start

import textgym
from textgym.types import Sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("torch", "transformers", "starlette", "uvicorn"):
        pytest.importorskip(package)
    import tiny_llama

    return tiny_llama.build(tmp_path_factory.mktemp("model") / "tiny_llama")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_it_serves_until_ctrl_c(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SERVER_KEY", "sesame-1234")
    words = ("serve-model", folder, "--port", "0", "--model-name", "tiny", "--api-key-env", "SERVER_KEY")
    with start(*words) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            assert base_url.startswith("http://127.0.0.1:")
            policy = textgym.OpenAIPolicy("tiny", base_url=base_url, api_key="sesame-1234", tokens=True)
            run = textgym.rollout(
                "textgym/Echo-v0", policy, num_examples=2, group_size=2, sampling=Sampling(max_tokens=4)
            )
            assert not run.errors
            assert run[0].tokens is not None
            process.send_signal(signal.SIGINT)
            rest, notes = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert rest == ""
    assert "serving tiny" in notes
    assert "Traceback" not in notes


def test_wrong_use_is_one_line(cli: Cli, tmp_path: Path) -> None:
    done = cli("serve-model", tmp_path, "--api-key", "a", "--api-key-env", "B")
    assert done.code == 2
    assert "exclude each other" in done.error


@pytest.mark.parametrize(("package", "extra"), [("torch", "transformers"), ("transformers", "transformers")])
def test_a_missing_package_is_named_with_its_extra(
    package: str, extra: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    done = cli("serve-model", tmp_path)
    assert done.code == 2
    assert f'pip install "textgym[{extra}]"' in done.error
