"""Every example and every Python block of the README runs as it is written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
README = (ROOT / "README.md").read_text("utf-8")

EXPECTED = {
    "01_first_episode": "return 1.0, because {'won': 1.0}; ended as completed",
    "02_a_function_as_policy": "I cannot do that.",
    "03_your_own_environment": "[1.0, 1.0]",
    "04_a_model_server": "10 of 24 episodes are left",
    "05_groups_as_they_finish": "advantages",
    "06_mcp_tools": "rewards [1.0, 1.0, 1.0, 1.0]",
    "07_tools_and_code": "Error: KeyError: 'kiwis'",
    "08_exact_tokens": "81 completion ids of which 36 were sampled",
    "09_groups_step_by_step": "problem 2: returns [1.0, 1.0, 1.0, 1.0]",
}
NEEDS = {"06_mcp_tools": "mcp"}
"""Example -> the package without which it is skipped."""


def run(code: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *code], capture_output=True, text=True, cwd=folder, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path, tmp_path: Path) -> None:
    if path.stem in NEEDS:
        pytest.importorskip(NEEDS[path.stem])
    assert EXPECTED[path.stem] in run([str(path)], tmp_path)


def test_the_first_forty_lines_say_how_to_begin() -> None:
    top = "\n".join(README.splitlines()[:40])
    assert "pip install . && textgym eval textgym/Math-v0 --policy oracle" in top
    assert 'pip install -e ".[dev]" && python -m pytest' in top
    assert 'gym.make("textgym/GuessNumber-v0")' in top


def test_python_blocks_of_the_readme(tmp_path: Path) -> None:
    from textgym.testing import MockModelServer

    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 10
    with MockModelServer(answer=r"\boxed{1}") as server:
        outputs = [
            run(["-c", block.replace("http://localhost:8000/v1", server.base_url)], tmp_path)
            for block in blocks
        ]
    assert outputs[0].endswith("{'won': 1.0}\n")
    assert "400 in 100 groups, 0 errors" in outputs[1]
    assert outputs[2] == "1.0\n"
    assert outputs[4] == "<result>\n10092000\n</result>\n1.0\n"
    assert outputs[5] == "42\n\nerror\n2\n\n"
    assert outputs[6].startswith("{'tokens': 8} TokenStream(")
    assert outputs[8].endswith("repeat what is right.\n\n4\n\n[19 characters left]\n")
    assert outputs[9] == "100 {'exact_match': 0.0}\n"
    assert (tmp_path / "runs" / "math" / "run.json").exists()
