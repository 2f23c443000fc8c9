"""Scheduling: what is played beyond the plan so that a run gets the valid members that it needs.

Invariant: nothing here changes an episode that is kept; it decides which are begun, and when a group has enough.
What is begun and not kept is counted, never silently gone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from textgym.errors import ConfigError

__all__ = ["Scheduling"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """Over-sampling with an early stop, and second attempts.

    Episodes begin group after group, the members of a group one after another, as slots become free; there is no
    reordering by expected length, so that the order is the same in every run. What differs is which episodes end
    first, and that is what an early stop takes.

    **An early stop is a bias.** Whoever keeps the first ``group_size`` of more members keeps the quick ones:
    short completions, quick failures of the task, near servers. Rewards that go with length are shifted by it, and
    so are advantages. Use it where that is a price you want to pay for speed; ``retry_failed`` has no such bias
    beyond that of leaving failed episodes out.

    Raises:
        ConfigError: A number is negative.

    Example:
        >>> import textgym
        >>> run = textgym.rollout("textgym/GuessNumber-v0", textgym.OraclePolicy(), num_examples=2, group_size=2,
        ...                       scheduling=Scheduling(retry_failed=1))
        >>> [len(group) for group in run.groups]
        [2, 2]
    """

    retry_failed: int = 0
    """How often a member that ended in an error is played again, at once and each time with another sampling seed.
    What still is an error then stays one. ``run.left_out["retried"]`` counts the attempts that were replaced."""
    extra_members: int = 0
    """Members that are begun in each group beyond ``group_size``. As soon as ``group_size`` of them are valid the
    group is complete: those under way are cancelled and leave no record (``run.left_out["cancelled"]`` counts
    them), the others never begin. Failed members are kept as errors, so that a group may have more members."""
    extra_groups: int = 0
    """Groups that are begun beyond ``num_examples``. As soon as ``num_examples`` groups have ``group_size`` valid
    members the run is complete; groups under way are cancelled and leave no record (``run.left_out["cancelled"]``
    counts their episodes). A group with failed members is kept and does not count. Trajectories are recorded when
    their group is complete."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ConfigError(
                    f"scheduling.{f.name} is {value!r}: it must be a whole number of at least 0"
                )

    def to_dict(self) -> dict[str, int]:
        """What is asked for, as JSON types; empty where nothing is."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value}
