"""Rules of the space of task instances: seeds reach all of it, splits and epochs part it.

Invariant: instances are told apart by ``example_id`` and, for splits, by what they ask and answer as well.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from textgym.errors import DatasetError
from textgym.seeding import mix
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject, has

__all__: list[str] = []

WHEN = "deterministic"
SPLIT_SEEDS = 100
QUICK_SPLIT_SEEDS = 30
LARGEST_EPOCH = 2000


def _id(env: Any, seed: int | None) -> Any:
    return env.reset(seed=seed)[1].get("example_id")


@rule("seeds-differ", "3.6", needs=("same-example-id",), waived_unless=WHEN)
def seeds_differ(subject: Subject) -> str:
    """Different seeds give different instances."""
    env = subject.make()
    ids = {_id(env, seed) for seed in range(50)}
    if len(ids) == 1:
        if has(env, "num_examples") and env.get_wrapper_attr("num_examples") == 1:
            raise Untested("there is one instance only (num_examples is 1)")
        raise Broken(f"the seeds 0 to 49 all gave the example {short(ids.pop())}")
    return f"{len(ids)} examples from 50 seeds"


@rule("neighbour-seeds", "3.6", needs=("seeds-differ",), waived_unless=WHEN)
def neighbour_seeds(subject: Subject) -> str:
    """In large spaces neighbouring seeds share no instance, over several episodes."""
    env = subject.make()
    size = env.get_wrapper_attr("num_examples") if has(env, "num_examples") else None
    if size is not None and size < 1_000_000:
        raise Untested(f"the space is small: num_examples is {size}")
    count = 20 if subject.quick else 50
    near = _repeats(env, list(range(count)))
    far = _repeats(env, [mix("far", seed) for seed in range(count)])
    if near > 3 * far + 3:
        raise Broken(
            f"of {4 * count} episodes from the neighbouring seeds 0 to {count - 1}, 4 each, {near} repeat "
            f"one of another seed, and {far} from unrelated seeds; expected no more than there"
        )
    if not near and not far:
        return f"{4 * count} episodes, no example twice"
    if not far and not subject.quick:
        far = _repeats(env, [mix("further", seed) for seed in range(500)])
        if not far:
            raise Broken(
                f"of {4 * count} episodes from the neighbouring seeds 0 to {count - 1} {near} repeat one "
                "of another seed, but none of 2000 from unrelated seeds does"
            )
    raise Untested(f"the space is small: {max(near, far)} of {4 * count} episodes repeat one by chance")


def _repeats(env: Any, seeds: list[int]) -> int:
    """How many of four episodes a seed have an example that another seed has had."""
    owner: dict[Any, int] = {}
    repeats = 0
    for seed in seeds:
        for position in range(4):
            key = _id(env, seed if position == 0 else None)
            repeats += owner.setdefault(key, seed) != seed
    return repeats


@rule("disjoint-splits", "3.6", needs=("example-id",), waived_unless=WHEN)
def disjoint_splits(subject: Subject) -> str:
    """``split="train"`` and ``split="test"`` have no instance in common."""
    subject.needs_parameter("split")
    seeds = range(QUICK_SPLIT_SEEDS if subject.quick else SPLIT_SEEDS)
    found: dict[str, dict[Any, int]] = {"train": {}, "test": {}}
    contents: dict[str, dict[Any, int]] = {"train": {}, "test": {}}
    for split in found:
        try:
            env = subject.make(split=split)
            for seed in seeds:
                observation, info = env.reset(seed=seed)
                found[split][info.get("example_id")] = seed
                contents[split][(observation, _answer(env))] = seed
        except DatasetError as error:
            raise Untested(f"split={split!r} is empty: {error}") from error
    for what, keys in (("example_id", found), ("question and answer", contents)):
        shared = keys["train"].keys() & keys["test"].keys()
        if what != "example_id" and all(key[1] is None for key in shared):
            continue  # one prompt for all, and the answer stays hidden
        if shared:
            key = min(shared, key=repr)
            raise Broken(
                f"{len(shared)} of {len(seeds)} instances are in both splits, for instance the {what} "
                f"{short(key)}: seed {keys['train'][key]} of train and {keys['test'][key]} of test"
            )
    return f"{len(found['train'])} train and {len(found['test'])} test examples"


def _answer(env: Any) -> Any:
    if not has(env, "truncate"):
        return None
    return env.get_wrapper_attr("truncate")("max_turns")[4].get("answer")


@rule("epoch-without-replacement", "3.6", needs=("same-example-id",), waived_unless=WHEN)
def epoch_without_replacement(subject: Subject) -> str:
    """A finite dataset is visited without replacement, epoch after epoch, each in another order."""
    env = subject.make()
    size = env.get_wrapper_attr("num_examples") if has(env, "num_examples") else None
    if size is None:
        raise Untested("num_examples is None: instances are made without end")
    if size > (LARGEST_EPOCH // 10 if subject.quick else LARGEST_EPOCH):
        raise Untested(f"an epoch of {size} examples is too long for this check")
    epochs = [[_id(env, 3 if epoch == place == 0 else None) for place in range(size)] for epoch in range(2)]
    rows = Counter(dict.fromkeys(epochs[0], 1))
    if "index" in getattr(env.unwrapped, "reset_options", ()):  # rows may be equal, and so their ids
        rows = Counter(env.reset(options={"index": i})[1].get("example_id") for i in range(size))
    for number, ids in enumerate(epochs, 1):
        if Counter(ids) != rows or len(ids) != sum(rows.values()):
            twice = [key for key, count in Counter(ids).items() if count > rows.get(key, 0)]
            raise Broken(
                f"epoch {number} from seed 3 on visited {len(set(ids))} of {size} examples, "
                f"{short(twice[:1])} too often; expected each once"
            )
    if size > 5 and epochs[0] == epochs[1]:
        raise Broken("both epochs from seed 3 on have the same order; expected a new permutation")
    return f"{size} examples"


@rule("groups-share-the-split", "3.6, 6", needs=("same-example-id",), attributes=("example_index",))
def groups_share_the_split(subject: Subject) -> str:
    """The groups of a run take the rows of a finite dataset without replacement, by ``example_index``."""
    env = subject.make()
    size = env.get_wrapper_attr("num_examples") if has(env, "num_examples") else None
    index_of = env.get_wrapper_attr("example_index")
    if size is None:
        raise Untested("num_examples is None: instances are made without end")
    count = min(size, LARGEST_EPOCH)
    rows = [index_of(5, group) for group in range(count)]
    again = [subject.make().get_wrapper_attr("example_index")(5, group) for group in range(min(count, 20))]
    if rows[: len(again)] != again:
        raise Broken(f"example_index(5, 0…) is {short(rows)} in one instance and {short(again)} in another")
    if not all(type(row) is int and 0 <= row < size for row in rows):
        raise Broken(f"example_index(5, 0…{count - 1}) is {short(rows)}; expected ints in 0..{size - 1}")
    if len(set(rows)) != count:
        raise Broken(
            f"example_index(5, g) takes {len(set(rows))} different rows for the groups 0 to {count - 1}; "
            "expected each row once"
        )
    return f"{count} groups"
