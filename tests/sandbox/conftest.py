"""Sandboxes for tests: one for each backend that works on this machine, shared by a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from textgym.sandbox import Backend, Sandbox
from textgym.sandbox.backend import AUTOMATIC
from textgym.sandbox.probe import trial

WORKING = [backend for backend in AUTOMATIC if not trial(backend)]


@pytest.fixture(scope="module", params=AUTOMATIC, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend, skipped where it does not work."""
    if request.param not in WORKING:
        pytest.skip(trial(request.param))
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def box(backend: Backend) -> Iterator[Sandbox]:
    """A sandbox with each backend."""
    with Sandbox(backend=backend) as made:
        yield made


@pytest.fixture(scope="module")
def auto() -> Iterator[Sandbox]:
    """A sandbox with the best backend of this machine."""
    if not WORKING:
        pytest.skip("no backend works here")
    with Sandbox() as made:
        yield made
