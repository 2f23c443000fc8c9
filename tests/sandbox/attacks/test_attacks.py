"""Every attack of the table against every backend of this machine, in every way of running code.

What a backend cannot keep in is listed in ``containment.known`` with the reason, and is asserted to be exactly
what gets out.
"""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest

if sys.platform != "linux":
    pytest.skip("the sandbox is built on Linux", allow_module_level=True)

from containment.attack import Control
from containment.ground import Estate
from containment.known import EVERYWHERE, KNOWN
from containment.machine import (
    BACKENDS,
    interpreter_of_nobody,
    table_of_nobody,
    table_of_this_user,
    why_not,
)
from containment.table import ATTACKS, MODES, without_sandbox

pytestmark = pytest.mark.timeout(600)  # a table takes half a minute on two quiet cores


def check(backend: str, found: dict[str, str]) -> None:
    expected = {**EVERYWHERE, **KNOWN[backend]}.keys() & found.keys()
    got_out = {name: what for name, what in found.items() if what}
    new = [f"{name}: {what}" for name, what in got_out.items() if name not in expected]
    held = [f"{name}: held now, take it off the list" for name in expected if name not in got_out]
    assert not new + held, "\n".join([f"{len(new)} got out of {backend}:", *new, *held])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_gets_out_is_what_is_known(backend: str, mode: str) -> None:
    if reason := why_not(backend, mode):
        pytest.skip(reason)
    check(backend, table_of_this_user(backend, mode))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_gets_out_of_an_unprivileged_users_sandbox_is_what_is_known(backend: str) -> None:
    if os.getuid() != 0:
        pytest.skip("the other tests of this file run without privileges already")
    if not interpreter_of_nobody():
        pytest.skip("an unprivileged user cannot run an interpreter here")
    check(backend, table_of_nobody(backend, "run"))


def test_the_attacks_work_where_nothing_stops_them() -> None:
    with Estate() as estate:
        found = without_sandbox(estate)
    controls = {attack.name: attack.control for attack in ATTACKS}
    must_work = {Control.SUCCEEDS} | ({Control.AS_ROOT} if os.getuid() == 0 else set())
    blind = {
        name: what
        for name, what in found.items()
        if controls[name] in must_work and (not what or what.startswith("the attack itself"))
    }
    assert not blind, f"these prove nothing when they are held: {blind}"


def test_names_of_attacks_are_unique() -> None:
    assert [name for name, count in Counter(attack.name for attack in ATTACKS).items() if count > 1] == []


def test_what_is_known_names_attacks() -> None:
    names = {attack.name for attack in ATTACKS}
    assert {name for known in (EVERYWHERE, *KNOWN.values()) for name in known} <= names
