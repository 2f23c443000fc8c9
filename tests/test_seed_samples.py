"""Every code sample of the environments document runs, with at most its import lines changed.

``seed_samples/environments.md`` holds the samples as they are written there. What a sample leaves undefined
(a dataset, a client, a helper's name) is put around it here; models are a ``MockModelServer`` behind the real
``openai`` clients.
"""

from __future__ import annotations

import ast
import asyncio
import math
import re
from collections.abc import Iterator, Mapping
from inspect import CO_COROUTINE, isawaitable
from pathlib import Path
from typing import Any

import openai
import pytest

import textgym
from textgym import MultiTurnEnv, Rubric, SingleTurnEnv, XMLParser
from textgym.envs import ToolEnv
from textgym.errors import PolicyError, RewardError
from textgym.hooks import drive, settle
from textgym.testing.mock_server import MockModelServer

DOCUMENT = (Path(__file__).parent / "seed_samples" / "environments.md").read_text("utf-8")
SAMPLES = dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)\n```$", DOCUMENT, re.MULTILINE | re.DOTALL))

DATASET = [
    {"prompt": "What is 2+2?", "answer": "4", "task": "arithmetic"},
    {"prompt": "What is 3+4?", "answer": "7", "task": "arithmetic"},
]


def run(name: str, **around: Any) -> dict[str, Any]:
    """Run a sample below some names, and return all names that are there then."""
    code = re.sub(r"^from verifiers\.\w+ import", "from textgym import", SAMPLES[name], flags=re.MULTILINE)
    names = {"__name__": "sample", "SingleTurnEnv": SingleTurnEnv, "MultiTurnEnv": MultiTurnEnv, **around}
    program = compile(code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    assert not program.co_flags & CO_COROUTINE, "run it with `await_sample`"
    exec(program, names)
    return names


def await_sample(name: str, **around: Any) -> dict[str, Any]:
    """The same for a sample that awaits outside a function, as in a notebook."""
    names = {"__name__": "sample", **around}
    program = compile(SAMPLES[name], name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)

    async def cell() -> None:
        result = eval(program, names)
        if isawaitable(result):
            await result

    asyncio.run(cell())
    return names


def solve(body: Mapping[str, Any]) -> str:
    """A model that can add: it answers the newest message that holds a sum."""
    said = " ".join(
        str(message["content"]) for message in body.get("messages", [{"content": body.get("prompt")}])
    )
    sums = re.findall(r"(\d+)\s*\+\s*(\d+)", said)
    return str(sum(map(int, sums[-1]))) if sums else "no sum"


def tagged(body: Mapping[str, Any]) -> str:
    return f"<reasoning>\nI add.\n</reasoning>\n<answer>\n{solve(body)}\n</answer>"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockModelServer]:
    """A server that ``openai.Client()`` finds by the usual environment variables."""
    with MockModelServer(answer=solve) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "key")
        yield running


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, server: MockModelServer) -> Iterator[Any]:
    if request.param == "sync":
        with openai.OpenAI() as blocking:
            yield blocking
    else:
        waiting = openai.AsyncOpenAI()
        yield waiting
        drive(settle(waiting.close()))


@pytest.fixture
def openai_client(server: MockModelServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI() as blocking:
        yield blocking


def test_every_sample_is_run_here() -> None:
    source = Path(__file__).read_text("utf-8")
    ours = {name for name in SAMPLES if re.search(rf'(run|await_sample)\(\s*"{name}"', source)}
    assert ours == set(SAMPLES)
    assert len(SAMPLES) == 13


def test_dataset_management(client: Any) -> None:
    names = run("dataset management")
    env = names["env"]
    assert env.reset(seed=0)[0] == "What is 2+2?"
    assert env.example.task == "arithmetic"
    assert env.step("4")[1] == 1.0
    assert env.generate("gpt-4", client=client) == (["What is 2+2?"], ["4"], [1.0])


def test_message_types(server: MockModelServer, openai_client: openai.OpenAI) -> None:
    names = run("message types", dataset=DATASET)
    assert names["env"].rollout(openai_client, "gpt-4", "2+2?", "4")[0] == "4"
    assert server.requests[-1]["prompt"] == "2+2?"
    assert server.counters["completions"] == 1
    chat = SingleTurnEnv(dataset=DATASET, message_type="chat")
    assert chat.rollout(openai_client, "gpt-4", "2+2?", "4")[0] == "4"
    assert server.requests[-1]["messages"] == [{"role": "user", "content": "2+2?"}]


def test_rollout_generation(server: MockModelServer, client: Any) -> None:
    env = SingleTurnEnv(dataset=DATASET, client=client)
    names = run("rollout generation", env=env, openai_client=client)
    assert names["completion"] == "4"
    assert names["state"]["answer"] == "4"
    assert names["state"]["reward"] == 1.0
    assert names["state"]["trajectory"].example_id
    assert (len(names["prompts"]), len(names["completions"]), names["rewards"]) == (100, 100, [1.0] * 100)
    assert server.counters["requests"] == 101
    for body in list(server.requests)[1:]:
        assert body["model"] == "gpt-4"
        assert body["temperature"] == 0.7
        assert body["messages"][0] == {"role": "system", "content": "You are a helpful math tutor."}
    assert sorted(set(names["completions"])) == ["4", "7"]
    assert env.system_prompt is None


def test_single_turn(server: MockModelServer, openai_client: openai.OpenAI) -> None:
    server.answer = tagged
    form = run("format prompt")["SYSTEM_PROMPT"]
    env = run("single turn", MATH_SYSTEM_PROMPT=form)["MathEnv"](DATASET)
    completion, state = env.rollout(openai_client, "gpt-4", "What is 2+2?", "4")
    assert XMLParser(["reasoning", "answer"]).parse(completion).answer == "4"
    assert state["rewards"] == {"check_answer": 0.9, "format": pytest.approx(0.1)}
    assert server.requests[-1]["messages"][0] == {"role": "system", "content": form}
    assert env.rollout(openai_client, "gpt-4", "What is 2+2?", "8/2")[1]["reward"] == pytest.approx(1.0)
    assert env.rollout(openai_client, "gpt-4", "What is 2+2?", "5")[1]["reward"] == pytest.approx(0.1)

    # Without tags the sample's own function raises (None has no strip): an error with its name, no silent 0.
    server.answer = "four"
    with pytest.raises(RewardError, match=r"reward function 'check_answer' raised AttributeError"):
        env.rollout(openai_client, "gpt-4", "What is 2+2?", "4")
    server.answer = lambda body: "seven" if "3+4" in body["messages"][-1]["content"] else tagged(body)
    prompts, _, rewards = env.generate("gpt-4", 4, openai_client)
    for prompt, reward in zip(prompts, rewards, strict=True):
        assert reward == (None if "3+4" in prompt else pytest.approx(1.0))


def test_multi_turn(server: MockModelServer, client: Any) -> None:
    tutor = run("multi turn")["TutorEnv"]

    class Tutor(tutor):  # type: ignore[misc, valid-type]
        def check_answer(self, message: str, state: Mapping[str, Any]) -> bool:
            return bool(message == state["answer"])

        def get_hint(self, answer: str, attempt: int) -> str:
            return f"Hint {attempt}: think of {answer}."

    env = Tutor(DATASET)
    server.answer = ["1", "2", "4"]
    completion, state = env.rollout(client, "gpt-4", "What is 2+2?", "4")
    assert (completion, state["attempts"], state["completed"], state["reward"]) == ("4", 2, True, 1.0)
    assert [message["content"] for message in state["messages"]] == [
        "You are a Socratic tutor...",
        "What is 2+2?",
        "1",
        "Hint 1: think of 4.",
        "2",
        "Hint 2: think of 4.",
        "4",
        "Correct! Well done.",
    ]
    server.answer = "no idea"
    state = env.rollout(client, "gpt-4", "What is 2+2?", "4")[1]
    assert (state["attempts"], state["stop_reason"], state["reward"]) == (5, "completed", 0.0)


def test_custom_state(server: MockModelServer, client: Any) -> None:
    stateful = run("custom state", response="Try again.")["StatefulEnv"]
    server.answer = "1"
    env = stateful(DATASET, max_turns=3)
    for _ in range(2):  # an episode does not inherit the state of the one before
        state = env.rollout(client, "gpt-4", "What is 2+2?", "4")[1]
        assert (state["target"], state["attempts"], state["hints_given"]) == ("4", 2, [])
        assert state["score"] == pytest.approx(0.81)
        assert (state["turn"], state["stop_reason"]) == (3, "max_turns")


def test_async_batches(server: MockModelServer) -> None:
    server.answer = "4"
    generate_dataset = run("async batches", dataset=DATASET)["generate_dataset"]
    prompts, completions, rewards = asyncio.run(generate_dataset())
    assert len(prompts) == len(completions) == server.counters["requests"] == 10_000
    assert sum(rewards) == 5_000  # each of the two rows as often as the other
    assert server.peak_in_flight <= 5


def test_composition(server: MockModelServer, client: Any) -> None:
    class MathSolverEnv(SingleTurnEnv):
        pass

    class MathVerifierEnv(SingleTurnEnv):
        def __init__(self, dataset: Any) -> None:
            super().__init__(dataset, system_prompt="Repeat the answer if it is right.")

    around = {"MathSolverEnv": MathSolverEnv, "MathVerifierEnv": MathVerifierEnv}
    verified = run("composition", **around)["VerifiedMathEnv"]

    class Verified(verified):  # type: ignore[misc, valid-type]
        def combine_results(self, solution: str, verification: str) -> tuple[str, dict[str, Any]]:
            return verification, {"solution": solution, "reward": float(solution == verification)}

    server.answer = lambda body: body["messages"][-1]["content"] if len(body["messages"]) > 1 else solve(body)
    env = Verified(DATASET)
    assert env.rollout(client, "gpt-4", "What is 2+2?", "4") == ("4", {"solution": "4", "reward": 1.0})
    assert server.requests[-1]["messages"][-1]["content"] == "4"
    prompts, completions, rewards = env.generate("gpt-4", 4, client)
    assert sorted(completions) == ["4", "4", "7", "7"]
    assert (len(prompts), rewards) == (4, [1.0] * 4)


def test_efficient_batching(server: MockModelServer, openai_client: openai.OpenAI) -> None:
    env = SingleTurnEnv(DATASET, client=openai_client, model="gpt-4")
    prompts, completions, rewards = await_sample("efficient batching", env=env)["results"]
    assert len(prompts) == len(completions) == 1000
    assert rewards == [1.0] * 1000
    assert server.counters["requests"] == 2000


def test_configuration(server: MockModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def right(completion: str, answer: str, parser: XMLParser) -> bool:
        return parser.parse_answer(completion) == answer

    parser = XMLParser(["reasoning", "answer"])
    rubric = Rubric([right, parser.get_format_reward_func()], [1.0, 0.2], parser)
    shown = {"question": "What is 1+1?", "answer": parser.format_answer("2")}
    filled = SAMPLES["configuration"].replace("[...]", f"[{shown!r}]")  # the three dots stand for examples
    monkeypatch.setitem(SAMPLES, "configuration", filled)
    names = run("configuration", dataset=DATASET, custom_rubric=rubric, XMLParser=XMLParser, openai=openai)
    env = names["env"]
    assert (env.custom_param, env.max_retries, env.timeout, env.message_type) == ("value", 3, 60, "chat")

    answers = iter(["4", "still no tags", parser.format_answer("4")])
    server.answer = lambda body: next(answers)
    with env.client:
        state = env.rollout(model="gpt-4", prompt="What is 2+2?", answer="4")[1]
    assert state["rewards"] == {"right": 1.0, "format": pytest.approx(0.2)}
    roles = [message["role"] for message in server.requests[0]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert len(state["trajectory"].steps) == 3
    assert "could not be read" in state["messages"][-2]["content"]


def test_a_timeout_ends_a_request(server: MockModelServer) -> None:
    server.latency = 5.0
    with openai.Client() as slow:
        env = SingleTurnEnv(dataset=DATASET, client=slow, model="gpt-4", timeout=0.2)
        with pytest.raises(PolicyError):
            env.rollout(prompt="What is 2+2?", answer="4")


def test_a_copied_environment_shares_its_client(openai_client: openai.OpenAI) -> None:
    import copy

    env = SingleTurnEnv(dataset=DATASET, client=openai_client, notes=["a"])
    env.reset(seed=0)
    twin = copy.deepcopy(env)
    assert twin.client is openai_client
    assert twin.notes == ["a"]
    assert twin.notes is not env.notes
    assert twin.step("4") == env.step("4")


def test_what_the_document_promises_of_prompts_and_tasks() -> None:
    rows = [
        {"question": "2+2", "answer": "4", "task": "sum"},
        {"prompt": "Say 7.", "answer": "7", "task": "sum"},
    ]
    env = SingleTurnEnv(dataset=rows, task_templates={"sum": "What is {question}?"})
    assert env.reset(options={"index": 0})[0] == "What is 2+2?"
    assert env.reset(options={"index": 1})[0] == "Say 7."
    assert textgym.DatasetEnv in type(env).__mro__


def test_tool_env(server: MockModelServer, openai_client: openai.OpenAI) -> None:
    names = run("tool env", TOOL_SYSTEM_PROMPT=textgym.TOOL_SYSTEM_PROMPT, XMLParser=XMLParser)
    env = names["ToolMathEnv"](DATASET)
    server.answer = [
        '<reasoning>Both.</reasoning><tool>{"name": "calculator", "args": {"expression": "2+2"}}</tool>'
        '<tool>{"name": "python_executor", "args": {"code": "print(2 + 2)"}}</tool>',
        "<answer>4</answer>",
    ]
    _, state = env.rollout(openai_client, "gpt-4", "What is 2+2?", "4")
    said = [message["content"] for message in state["messages"] if message["role"] == "user"]
    assert said[1] == "<result>\n4\n</result>\n<result>\n4\n</result>"
    assert state["reward"] == 1.0


def test_tool_definition(server: MockModelServer, openai_client: openai.OpenAI) -> None:
    calculator = run("tool definition", safe_eval=lambda text: eval(text, {"sqrt": math.sqrt}))["calculator"]
    env = ToolEnv(DATASET, [calculator])
    assert env.toolset["calculator"].schema["function"] == {
        "name": "calculator",
        "description": "Evaluate mathematical expressions.",
        "parameters": {
            "type": "object",
            "properties": {
                "expression": {"type": "string", "description": "Mathematical expression to evaluate"}
            },
            "required": ["expression"],
        },
    }
    assert "Returns: Result of the calculation" in env.toolset.describe()
    assert 'calculator("sqrt(16)") -> "4.0"' in env.toolset.describe()
    server.answer = [
        '<think>I look.</think><tool>{"name": "calculator", "args": {"expression": "sqrt(16)"}}</tool>',
        '<tool>{"name": "calculator", "args": {"expression": "1 /"}}</tool>',
        "<answer>4</answer>",
    ]
    _, state = env.rollout(openai_client, "gpt-4", "What is 2+2?", "4")
    said = [message["content"] for message in state["messages"][2:]]
    assert said[1] == "<result>\n4.0\n</result>"
    assert said[3].startswith("<result>\nError: invalid syntax")  # the sample's own words
    assert (state["reward"], len(state["tool_calls"])) == (1.0, 2)
