"""The infos of many members in Gymnasium's vector form, made column by column.

Invariant: what comes out equals what ``VectorEnv._add_info`` makes of the same infos, member by member: for each
key an array (of the type of the first member's value; of objects for what is no number) and a mask ``_key``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["collate"]


def collate(num_envs: int, rows: Sequence[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Put the infos of some members side by side.

    Args:
        num_envs: Length of the arrays.
        rows: (member, info) pairs; a member may come twice with different keys.

    Returns:
        The vector info.
    """
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for member, info in rows:
        for key, value in info.items():
            column = columns.get(key)
            if column is None:
                column = columns[key] = ([], [])
            column[0].append(member)
            column[1].append(value)
    infos: dict[str, Any] = {}
    for key, (members, values) in columns.items():
        mask = np.zeros(num_envs, dtype=np.bool_)
        mask[members] = True
        infos[key], infos["_" + key] = _column(num_envs, key, members, values), mask
    return infos


def _column(num_envs: int, key: str, members: list[int], values: list[Any]) -> Any:
    first = values[0]
    kind = type(first)
    if kind is dict and key != "final_obs":
        return collate(num_envs, list(zip(members, values, strict=True)))
    if key != "final_obs" and (kind in (int, float, bool) or issubclass(kind, np.number)):
        array = np.zeros(num_envs, dtype=kind)
        array[members] = values
        return array
    if key != "final_obs" and kind is np.ndarray:
        array = np.zeros((num_envs, *first.shape), dtype=first.dtype)
    else:
        array = np.full(num_envs, None, dtype=object)
    for member, value in zip(members, values, strict=True):
        array[member] = value
    return array
