"""What is refused before anything starts."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from functools import partial
from typing import Any

import pytest

import textgym
from textgym import distributed
from textgym.distributed.resources import fitting
from textgym.errors import ConfigError, MissingExtra, NotForkable, RunAborted
from textgym.testing import Fault, FaultyEnv


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r'pip install "textgym\[ray\]"'):
        distributed.rollout("textgym/Echo-v0", lambda obs: "x", num_examples=1)


def test_importing_it_does_not_import_ray() -> None:
    code = "import sys, textgym.distributed; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_workers": 0}, "num_workers is 0"),
        ({"num_workers": True}, "num_workers is True"),
        ({"resources": {"num_cpus": -1}}, r"resources\['num_cpus'\] is -1"),
        ({"resources": {"gold": "much"}}, r"resources\['gold'\] is 'much'"),
        ({"resources": 4}, "resources is 4"),
        ({"resources": {"GPU": 1}}, "resources names 'GPU'"),
        ({"resources": {3: 1}}, "resources names 3"),
        ({"address": 6379}, "address is 6379"),
        ({"max_concurrency": 0}, "max_concurrency is 0"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        distributed.rollout("textgym/Echo-v0", lambda obs: "x", num_examples=1, **arguments)


def made_with(lock: Any) -> textgym.SingleTurnEnv:
    """An environment, of something live."""
    return textgym.SingleTurnEnv([{"prompt": "?", "answer": "!"}])


class Locked:
    """A policy with something live in it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    async def complete(self, request: Any) -> str:
        return "x"


def test_an_address_without_a_cluster_is_refused_at_once() -> None:
    ray = pytest.importorskip("ray")
    assert not ray.is_initialized()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RunAborted, match=f"no Ray cluster at address='{address}'"):
            distributed.rollout("textgym/Echo-v0", lambda obs: "x", num_examples=1, address=address)


def test_what_does_not_pickle_is_named_before_anything_starts() -> None:
    ray = pytest.importorskip("ray")
    before = ray.is_initialized()
    with pytest.raises(ConfigError, match=r"policy cannot be sent .*lock"):
        distributed.rollout("textgym/Echo-v0", Locked(), num_examples=1)
    with pytest.raises(ConfigError, match=r"env cannot be sent .*lock"):
        distributed.rollout(partial(made_with, threading.Lock()), lambda obs: "x", num_examples=1)
    with pytest.raises(NotForkable, match="live session"):
        distributed.rollout(FaultyEnv(fault=Fault.NOT_FORKABLE), lambda obs: "x", num_examples=1)
    with pytest.raises(ConfigError, match=r"options cannot be sent .*lock"):
        options = {"lock": threading.Lock()}
        distributed.rollout("textgym/Echo-v0", lambda obs: "x", num_examples=1, options=options)
    with pytest.raises(ConfigError, match=r"sampling cannot be sent .*lock"):
        sampling = textgym.Sampling(extra={"lock": threading.Lock()})
        distributed.rollout("textgym/Echo-v0", lambda obs: "x", num_examples=1, sampling=sampling)
    with pytest.raises(ConfigError, match=r"env_kwargs cannot be sent .*lock"):
        distributed.rollout(made_with, lambda obs: "x", num_examples=1, env_kwargs={"lock": threading.Lock()})
    assert ray.is_initialized() == before


@pytest.mark.parametrize(
    ("resources", "most", "workers"),
    [
        ({"num_cpus": 1}, 100, 6),
        ({"num_cpus": 1}, 5, 5),
        ({"num_cpus": 3}, 100, 1),
        ({"num_cpus": 0.5, "num_gpus": 1}, 100, 2),
        ({"num_cpus": 1, "laser": 1}, 100, 0),
        ({"num_cpus": 0}, 9, 9),
        ({"silver": 0.07}, 999, 100),
    ],
)
def test_workers_are_counted_by_what_the_nodes_hold(
    resources: dict[str, float], most: int, workers: int
) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 4.0, "silver": 7.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "laser": 1.0}},
    ]
    assert fitting(nodes, resources, most) == workers
