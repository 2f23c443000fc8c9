"""Fixtures: the command line in this process, a model server, golden files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli, Result

from textgym.cli.main import main
from textgym.testing import MockModelServer

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """``cli("eval", …)`` in this process, in an empty directory and a narrow window."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)

    def run(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def server() -> Iterator[MockModelServer]:
    """A model server that says what Echo-v0 wants to hear."""
    with MockModelServer(
        answer=lambda body: body["messages"][-1]["content"].removeprefix("Say: ")
    ) as running:
        yield running


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with a file under ``tests/golden/cli``; TEXTGYM_UPDATE_GOLDEN=1 writes the file."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("TEXTGYM_UPDATE_GOLDEN") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        assert path.read_text("utf-8") == text, f"{path} differs: TEXTGYM_UPDATE_GOLDEN=1 writes it anew"

    return compare
