"""Rollouts: episodes played, recorded, grouped, stored. ``textgym.rollout`` is the function.

Read ``episode.py`` for one episode, ``plan.py`` for what a run does, ``slots.py`` for many episodes at once,
``processes.py`` for many processes, ``engine.py`` for the whole, ``trajectory.py`` for the record,
``training_rows.py`` for what trainers get of it, ``store.py`` for the run directory, ``statistics.py`` for the
figures.
"""

from textgym.rollouts.engine import Rollout, arollout, rollout
from textgym.rollouts.limits import Limits
from textgym.rollouts.run import Group, Run, Summary
from textgym.rollouts.scheduling import Scheduling
from textgym.rollouts.stepping import areset, astep, atruncate, is_blocking
from textgym.rollouts.training_rows import TokenRow, token_rows
from textgym.rollouts.trajectory import Boundary, Failure, Step, Trajectory

__all__ = [
    "Boundary",
    "Failure",
    "Group",
    "Limits",
    "Rollout",
    "Run",
    "Scheduling",
    "Step",
    "Summary",
    "TokenRow",
    "Trajectory",
    "areset",
    "arollout",
    "astep",
    "atruncate",
    "is_blocking",
    "rollout",
    "token_rows",
]
