"""The main job against a server nobody here wrote: `textgym eval` on `transformers serve`.

The server speaks the OpenAI chat protocol and no more: it gives no token ids and no log
probabilities, and refuses requests that ask for them in the vLLM way. So this is also the test that
the client comes down to text there instead of failing.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from transformers_server import transformers_server

pytestmark = pytest.mark.timeout(900)

EXAMPLES = 32
GROUP_SIZE = 4
MAX_TOKENS = 16


class Server(NamedTuple):
    """A running server and the one model name it answers to."""

    url: str
    model: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("transformers_serve") / "tiny_llama"
    # Built in a process of its own: torch's import warnings are not this suite's errors.
    builder = Path(__file__).with_name("tiny_llama.py")
    subprocess.run([sys.executable, str(builder), str(folder)], check=True, timeout=300)
    with transformers_server(folder) as url:
        yield Server(url, str(folder))


def test_eval_runs_every_episode_and_reports_it(server: Server, tmp_path: Path) -> None:
    import textgym

    out = tmp_path / "run"
    command = [
        *(sys.executable, "-m", "textgym", "eval", "textgym/Math-v0"),
        *("--model", server.model),
        *("--base-url", f"{server.url}/v1"),
        *("-n", str(EXAMPLES)),
        *("-g", str(GROUP_SIZE)),
        *("--max-tokens", str(MAX_TOKENS)),
        *("--out", str(out)),
    ]
    # A server of one's own needs no key, and somebody's real one must not be sent to it.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    run = textgym.Run.load(out)
    assert len(run) == EXAMPLES * GROUP_SIZE
    assert [trajectory.error for trajectory in run] == [None] * len(run)
    for trajectory in run:
        assert isinstance(trajectory.reward, float)
        assert math.isfinite(trajectory.reward)
        assert trajectory.tokens is None, "this server reports no ids, and none may be invented"

    groups = [list(group) for group in run.groups]
    assert [len(group) for group in groups] == [GROUP_SIZE] * EXAMPLES
    for group in groups:
        assert len({trajectory.example_id for trajectory in group}) == 1

    answers = [trajectory.messages[-1]["content"] for trajectory in run]
    assert len(set(answers)) > EXAMPLES, "samples of a group have to differ"

    summary = str(run.summary())
    assert "128" in summary
    assert " ".join(summary.split()) in " ".join(done.stdout.split())


def test_the_server_gives_text_and_usage_and_no_tokens(server: Server) -> None:
    status, answer = _chat(server, {"logprobs": True})
    assert status == 200
    (choice,) = answer["choices"]
    assert isinstance(choice["message"]["content"], str)
    assert choice["finish_reason"] in {"stop", "length"}
    assert 1 <= answer["usage"]["completion_tokens"] <= MAX_TOKENS
    assert "logprobs" not in choice


@pytest.mark.parametrize("field", ["return_token_ids", "top_k"])
def test_the_server_refuses_what_is_not_in_the_openai_schema(server: Server, field: str) -> None:
    status, answer = _chat(server, {field: 1})
    assert status == 422
    assert field in answer["detail"]


def _chat(server: Server, extra: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    body = {
        "model": server.model,
        "messages": [{"role": "user", "content": "What is 2 + 2?"}],
        "max_tokens": MAX_TOKENS,
        **extra,
    }
    request = urllib.request.Request(
        f"{server.url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
