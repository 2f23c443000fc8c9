"""Infos put side by side equal what Gymnasium puts side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.vector.infos import collate

MEMBERS = 5
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "float": st.floats(allow_nan=False),
    "int": st.integers(-(2**60), 2**60),
    "bool": st.booleans(),
    "numpy": st.floats(width=32, allow_nan=False).map(np.float32),
    "array": st.lists(st.integers(0, 9), min_size=3, max_size=3).map(np.array),
    "text": st.text(max_size=4),
    "list": st.lists(st.integers(), max_size=3),
    "none": st.none(),
    "final_obs": st.text(max_size=3) | st.floats(allow_nan=False) | st.just({"a": 1}),
}
FLAT = st.fixed_dictionaries({}, optional=KINDS)
INFOS = st.fixed_dictionaries({}, optional={**KINDS, "inner": FLAT, "final_info": FLAT})


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, MEMBERS - 1), INFOS), max_size=MEMBERS, unique_by=lambda row: row[0])
)
def test_the_columns_are_gymnasiums(rows):
    envs: Any = VectorEnv()
    envs.num_envs = MEMBERS
    expected: dict[str, Any] = {}
    for member, info in rows:
        expected = envs._add_info(expected, info, member)
    assert data_equivalence(collate(MEMBERS, rows), expected)
