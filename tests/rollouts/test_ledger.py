"""The ledger under any order of taking, finishing, giving back and losing workers."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from textgym.rollouts import Boundary, Failure, Trajectory
from textgym.rollouts.episode import EpisodeTask
from textgym.rollouts.ledger import MAX_LOSSES, Ledger
from textgym.rollouts.shares import Report, Share

WORKERS = ["a", "b", "c"]


def task(group: int, sample: int) -> EpisodeTask:
    return EpisodeTask(
        env_id="e",
        env_kwargs={},
        seed=group,
        options=None,
        group_id=group,
        sample=sample,
        sampling_seed=sample,
        group_key=str(group),
    )


def shares(groups: int, size: int) -> list[Share]:
    return [
        Share(group, tuple(task(group, sample) for sample in range(size)), size) for group in range(groups)
    ]


def report(group: int, sample: int, *, closed: bool, failed: bool = False) -> Report:
    error = Failure(boundary=Boundary.ENV, type="E", message="", turn=0) if failed else None
    return Report(group, (Trajectory(env_id="e", group_id=group, sample=sample, error=error),), closed)


class Machine(RuleBasedStateMachine):
    """Workers do whatever workers do; nothing may be lost and nothing counted twice."""

    GROUPS, SIZE = 7, 2

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(shares(self.GROUPS, self.SIZE), 3)
        self.holds: dict[str, set[tuple[int, int]]] = {worker: set() for worker in WORKERS}
        self.done: list[tuple[int, int]] = []

    @rule(worker=st.sampled_from(WORKERS), room=st.integers(-1, 6), crew=st.integers(1, 3))
    def take(self, worker: str, room: int, crew: int) -> None:
        before = len({group for group, _ in self.holds[worker]})
        part = -(-self.ledger.known // crew)
        for share in self.ledger.take(worker, room, crew):
            keys = {(share.group_id, task.sample) for task in share.tasks}
            assert keys
            assert share.missing == len(keys)
            assert not any(keys & held for held in self.holds.values())
            assert not keys & set(self.done)
            self.holds[worker] |= keys
        assert len({group for group, _ in self.holds[worker]}) <= max(before, 1, part)

    @rule(worker=st.sampled_from(WORKERS), number=st.integers(0, 13))
    def finish(self, worker: str, number: int) -> None:
        group, sample = divmod(number, self.SIZE)
        mine = {key for key in self.holds[worker] if key[0] == group}
        tasks = self.ledger.tasks(worker, group)
        assert (None if tasks is None else {(group, n) for n in tasks}) == (mine or None)
        if (group, sample) in mine:
            self.ledger.note(worker, report(group, sample, closed=len(mine) == 1))
            self.holds[worker].discard((group, sample))
            self.done.append((group, sample))

    @rule(worker=st.sampled_from(WORKERS), groups=st.lists(st.integers(0, 6), unique=True))
    def give_back(self, worker: str, groups: list[int]) -> None:
        mine = {group for group, _ in self.holds[worker]}
        assert self.ledger.give_back(worker, groups) == len(mine & set(groups))
        self.holds[worker] = {key for key in self.holds[worker] if key[0] not in groups}

    @rule(worker=st.sampled_from(WORKERS))
    def lose(self, worker: str) -> None:
        group = self.ledger.lose(worker)
        given_up = set() if group is None else {(group.id, sample) for sample in group.owed}
        assert given_up in (set(), self.holds[worker])
        self.done += given_up
        self.holds[worker] = set()

    @precondition(lambda self: len(self.done) < 14)
    @rule(worker=st.sampled_from(WORKERS))
    def one_worker_can_do_all_the_rest(self, worker: str) -> None:
        for other in WORKERS:
            self.ledger.give_back(other, range(self.GROUPS))
            self.holds[other] = set()
        while taken := self.ledger.take(worker, 100, 1):
            for share in taken:
                last = share.tasks[-1].sample
                for task in share.tasks:
                    self.ledger.note(worker, report(share.group_id, task.sample, closed=task.sample == last))
                    self.done.append((share.group_id, task.sample))
        assert self.ledger.known == 0

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        assert len(self.done) == len(set(self.done))
        assert all(self.ledger.held(worker) == len(held) for worker, held in self.holds.items())
        assert (self.ledger.known == 0) == (len(self.done) == self.GROUPS * self.SIZE)


TestLedger = Machine.TestCase


def test_what_kills_every_worker_is_given_up_and_the_others_are_not() -> None:
    ledger, finished, deaths = Ledger(shares(6, 1), 10), set(), 0
    given_up: list[int] = []
    while ledger.known:
        worker = f"w{deaths}"
        groups = [share.group_id for share in ledger.take(worker, 3, 1)]
        while groups and 4 not in groups:
            for group in groups:
                ledger.note(worker, report(group, 0, closed=True))
                finished.add(group)
            groups = [share.group_id for share in ledger.take(worker, 3, 1)]
        if groups:
            lost = ledger.lose(worker)
            given_up += [] if lost is None else [lost.id]
            deaths += 1
    assert (given_up, deaths) == ([4], MAX_LOSSES)
    assert finished == {0, 1, 2, 3, 5}


def test_nobody_takes_more_than_a_part_of_what_is_left() -> None:
    ledger = Ledger(shares(9, 1), 20)
    assert [len(ledger.take(worker, 100, 3)) for worker in WORKERS] == [3, 3, 3]


def test_a_lost_group_still_misses_what_has_failed() -> None:
    ledger = Ledger([Share(0, tuple(task(0, sample) for sample in range(5)), 3)], 1)  # two may fail
    ledger.take("a", 5, 1)
    ledger.note("a", report(0, 0, closed=False))
    ledger.note("a", report(0, 3, closed=False, failed=True))
    ledger.lose("a")
    [share] = ledger.take("b", 5, 1)
    assert ([task.sample for task in share.tasks], share.missing) == ([1, 2, 4], 2)
