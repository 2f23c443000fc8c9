"""What a client, a trainer and the engines are told to do.

One rule with a few numbers. A trainer takes batches of ``batch`` finished groups; its version is the number of
batches it has trained. A group is stamped with the version at which its first sample is sent, and its staleness
is the version that trains on it less its stamp. A group may start while fewer than ``(version + staleness +
over_sampling) * batch`` are trained or alive. Nothing more stale than ``staleness`` is ever trained on: either
the trainer waits for the old groups (``WAIT``), or they are aborted when the next version could no longer use
them (``DROP``). So

- ``staleness=0`` is the synchronous batch,
- ``staleness=0, over_sampling=1.5, late=DROP`` starts half as many groups again and stops when enough are
  done: ``textgym.Scheduling(extra_groups=batch // 2)``,
- ``extra_members=2`` begins two samples more in each group and stops when the others are done:
  ``textgym.Scheduling(extra_members=2)``,
- ``staleness=n`` is asynchronous with bounded staleness: groups of ``textgym.arollout`` as they come.

The defaults are what textgym does: groups in the order in which they are given, each on one server.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Engines", "Late", "Order", "Policy", "Routing"]


class Late(Enum):
    """What becomes of groups that are about to be too stale."""

    WAIT = "wait"
    DROP = "drop"


class Routing(Enum):
    """Which replica answers."""

    GROUP = "group"
    """All samples of a group go to the replica that had the fewest when it started: they share its prompt."""
    SAMPLE = "sample"
    """A sample goes to the replica that has the fewest, and stays: it keeps its own cache."""
    TURN = "turn"
    """Every turn goes to the replica that has the fewest: whatever is not cached there is read again."""


class Order(Enum):
    """Which group of a batch starts first, by what is known of its task before."""

    GIVEN = "given"
    SHORTEST = "shortest"
    LONGEST = "longest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the client and the trainer do."""

    batch: int
    """Groups of a training batch."""
    staleness: int = 0
    """Most versions between start and training."""
    over_sampling: float = 1.0
    """Groups alive for each that is needed, at least 1."""
    extra_members: int = 0
    """Samples of each group that are begun and not needed: the first ones done are kept."""
    late: Late = Late.WAIT
    """What becomes of late groups."""
    routing: Routing = Routing.GROUP
    """Which replica answers."""
    order: Order = Order.GIVEN
    """Which group starts first."""
    train_seconds: float = 0.0
    """Time of a training step; engines may go on meanwhile as far as the rule allows."""

    def __post_init__(self) -> None:
        if self.over_sampling < 1.0 or self.batch < 1 or min(self.staleness, self.extra_members) < 0:
            raise ValueError(
                f"{self}: batch and over_sampling are at least 1, staleness and extra_members at least 0"
            )
        if self.over_sampling > 1.0 and self.late is Late.WAIT:
            raise ValueError(
                "over_sampling starts groups that cannot all be trained on in time: late=Late.DROP"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """The inference side."""

    replicas: int
    """Engine replicas."""
    slots: int = 16
    """Requests that a replica runs at once."""
    single_rate: float = 100.0
    """Tokens a second of a request alone in its replica."""
    share_when_full: float = 0.5
    """Rate of a request in a full replica relative to that."""
    prefill: float = 0.02
    """Cost of reading a token relative to writing one."""
    load: float = 1.25
    """Episodes under way for each slot: those that wait for their environment need none."""
