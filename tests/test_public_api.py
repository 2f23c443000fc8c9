"""The names and signatures that users rely on, and what importing the package costs."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import textgym
from textgym import errors

HEAVY = ("torch", "transformers", "openai", "pettingzoo", "aiohttp", "rich", "ray", "datasets", "yarl")


def test_every_public_name_resolves() -> None:
    for name in textgym.__all__:
        assert getattr(textgym, name) is not None
    assert set(textgym.__all__) - {"__version__"} == set(textgym._HOMES)
    assert set(textgym.__all__) <= set(dir(textgym))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        textgym.Nothing  # noqa: B018


PARAMETERS = {
    "rollout": "env policy num_examples group_size env_kwargs seed options max_concurrency sampling limits "
    "tokenizer out resume on_error on_result scheduling workers",
    "arollout": "env policy num_examples group_size env_kwargs seed options max_concurrency sampling limits "
    "tokenizer out resume on_error on_result scheduling workers",
    "astep": "env action",
    "areset": "env seed options",
    "atruncate": "env reason",
    "Sampling": "temperature top_p max_tokens stop extra",
    "Limits": "turns completion_tokens total_tokens context_tokens seconds",
    "Rubric": "funcs weights parser",
    "DatasetEnv": "dataset rubric parser system_prompt few_shot_examples task_templates message_type "
    "render_mode max_observation max_action client model timeout reward_bounds success_threshold attributes",
    "SingleTurnEnv": "dataset rubric parser max_retries kwargs",
    "MultiTurnEnv": "dataset rubric parser max_turns turns_are_rule kwargs",
    "ToolEnv": "dataset tools rubric parser system_prompt protocol max_calls kwargs",
    "StatefulToolEnv": "dataset tools args hidden kwargs",
    "GroupVectorEnv": "env num_envs group_size autoreset_mode kwargs",
    "ScriptedPolicy": "script name",
    "Unicode": "max_length min_length seed",
    "XMLParser": "fields answer_field extract_fn pick",
    "GeneratedDataset": "make seed size split test_share name",
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_signatures(name: str) -> None:
    assert list(inspect.signature(getattr(textgym, name)).parameters) == PARAMETERS[name].split()


def test_errors_survive_pickling_with_their_fields() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        error = kind("what happened")
        for field in ("status", "function", "rule"):
            if hasattr(error, field):
                setattr(error, field, 7)
        twin = pickle.loads(pickle.dumps(error))
        assert (type(twin), str(twin), vars(twin)) == (kind, str(error), vars(error))
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.MissingExtra, ImportError)
    extra = errors.MissingExtra("the viewer needs rich", extra="view")
    assert 'pip install "textgym[view]"' in str(pickle.loads(pickle.dumps(extra)))


def test_every_extra_that_is_named_can_be_installed() -> None:
    root = Path(__file__).parents[1]
    offered = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
    named = re.compile(r'(?:textgym|\.)\[([a-z0-9]+(?:,[a-z0-9]+)*)\]|extra="(\w+)"|extra\s+`+(\w+)')
    sources = [root / "README.md", *(root / "textgym").rglob("*.py")]
    found = {
        extra
        for path in sources
        for m in named.finditer(path.read_text())
        for extra in m[m.lastindex].split(",")
    }
    assert {"ray", "mcp", "tokens", "transformers", "serve", "parquet"} <= found
    assert found <= offered


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        assert name in errors.__doc__


def modules_after(statement: str) -> set[str]:
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_import_loads_nothing_heavy() -> None:
    loaded = modules_after("import textgym")
    assert not [name for name in HEAVY if name in loaded]
    ours = {name for name in loaded if name.startswith("textgym")}
    assert ours == {"textgym", "textgym.registration"}


def test_playing_loads_nothing_heavy() -> None:
    loaded = modules_after(
        "import textgym\ntextgym.rollout('textgym/Math-v0', textgym.OraclePolicy(), num_examples=2).summary()"
    )
    assert not [name for name in HEAVY if name in loaded]


def test_gymnasium_finds_the_ids_by_module_prefix() -> None:
    code = "import gymnasium as gym; print(gym.make('textgym:textgym/Math-v0').reset(seed=0)[0][:5])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Solve\n"
