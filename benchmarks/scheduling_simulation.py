"""When lengths are heavy-tailed, what do over-sampling and asynchrony buy, and what do they cost?

A discrete-event simulation (``scheduling/``): engine replicas with slots and continuous batching, groups of
samples with heavy-tailed, correlated lengths, turns with an environment between them, a trainer that takes
batches of groups. Nothing is measured on this machine; the same arguments print the same table. The model in
full:

- A replica runs up to ``slots`` requests; each of n gets ``rate_1 / (1 + c (n - 1))`` tokens a second, half
  of ``rate_1`` when it is full. More wait first come, first served. Reading a token costs 1/50 of writing
  one, and is saved where the replica has read it: a group's prompt, an episode's own past.
- The client keeps 1.25 episodes under way for each slot, starts groups in the order in which they are given and
  keeps each on one replica, as textgym does. The trainer takes no time, but for the rows that say so.
- Lengths: lognormal (sigma 1) or Pareto (alpha 1.5), mean 2000 tokens, cut at 16 means as by ``max_tokens``;
  correlation 0.5 within a group of 8.

Columns: trained groups a second and trained tokens a second, both relative to engines that are always full
and never waste; slots that idle; 99th percentile of a request's wait for a slot; mean length of what is
trained on relative to all that was begun or skipped (1 is no bias); staleness in versions, mean and most.
``tests/benchmarks`` holds the engines against queueing theory and the policies against order statistics.

    python benchmarks/scheduling_simulation.py [--replicas 8 100 1000 10000] [--seed 0] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scheduling.outcome import Outcome, simulate
from scheduling.policy import Engines, Late, Order, Policy, Routing
from scheduling.workload import Workload

REPLICAS, BATCH, BATCHES = 16, 64, 20
"""Of the tables of policies: 2 samples a slot in a batch."""
SCALE_BATCHES = 2
"""Of the table of scales: 1 sample a slot in a batch, 1 turn."""


def policies(workload: Workload, engines: Engines) -> dict[str, Policy]:
    """The rows of the first table."""
    capacity = engines.replicas * engines.slots * engines.single_rate * engines.share_when_full
    training = 0.5 * BATCH * workload.group_size * workload.mean_tokens / capacity
    rows = {"synchronous": Policy(batch=BATCH)}
    for factor in (1.1, 1.25, 1.5, 2.0):
        rows[f"over-sampling {factor}"] = Policy(batch=BATCH, over_sampling=factor, late=Late.DROP)
    for extra in (1, 2, 4):
        rows[f"{extra} extra in a group"] = Policy(batch=BATCH, extra_members=extra)
    for staleness in (1, 2, 4, 8):
        rows[f"staleness {staleness}, late ones awaited"] = Policy(batch=BATCH, staleness=staleness)
    for staleness in (1, 2, 4):
        rows[f"staleness {staleness}, late ones dropped"] = Policy(
            batch=BATCH, staleness=staleness, late=Late.DROP
        )
    for staleness in (0, 4):
        name = (
            f"staleness {staleness}, training takes time" if staleness else "synchronous, training takes time"
        )
        rows[name] = Policy(batch=BATCH, staleness=staleness, train_seconds=training)
    return rows


def places() -> dict[str, Policy]:
    """The rows of routing and order."""
    rows = {}
    for routing in Routing:
        for staleness in (0, 4):
            name = f"staleness {staleness}, routed by {routing.value}"
            rows[name] = Policy(batch=BATCH, staleness=staleness, routing=routing)
    for order in Order:
        rows[f"synchronous, {order.value} first"] = Policy(batch=BATCH, order=order)
    return rows


def scaled(replicas: int) -> tuple[Workload, Engines, dict[str, Policy]]:
    """The rows of one scale."""
    workload, engines = Workload(), Engines(replicas=replicas)
    batch = replicas * engines.slots // workload.group_size
    rows = {
        "synchronous": Policy(batch=batch),
        "over-sampling 1.5": Policy(batch=batch, over_sampling=1.5, late=Late.DROP),
        "staleness 1, late ones awaited": Policy(batch=batch, staleness=1),
    }
    return workload, engines, rows


def show_heads(title: str) -> None:
    heads = ("groups/s", "tokens/s", "idle", "p99 wait s", "length", "stale", "most")
    print(f"\n{title:<42}" + "".join(f"{head:>11}" for head in heads))


def show(name: str, outcome: Outcome) -> None:
    cells = (
        *(
            f"{outcome.throughput:.2f}",
            f"{outcome.useful:.2f}",
            f"{outcome.idle:.0%}",
            f"{outcome.wait_p99:.1f}",
        ),
        *(f"{outcome.kept_length:.2f}", f"{outcome.staleness:.2f}", f"{outcome.stalest}"),
    )
    print(f"  {name:<40}" + "".join(f"{cell:>11}" for cell in cells), flush=True)


def run_table(
    title: str, workload: Workload, engines: Engines, rows: dict[str, Policy], batches: int
) -> dict[str, Outcome]:
    """Simulate and print some rows."""
    show_heads(title)
    outcomes = {}
    for name, policy in rows.items():
        begun = replace(workload, group_size=workload.group_size + policy.extra_members)
        outcomes[name] = simulate(begun, engines, policy, batches)
        show(name, outcomes[name])
    return outcomes


def compare(tables: dict[str, dict[str, Outcome]]) -> dict[str, dict[str, float]]:
    """Trained tokens a second beside the synchronous batch, and what is trained on beside the truth."""
    compared = {}
    for tail in ("lognormal", "pareto"):
        sync = tables[tail]["synchronous"]
        for name in ("over-sampling 1.5", "4 extra in a group", "staleness 4, late ones awaited"):
            outcome = tables[tail][name]
            compared[f"{tail}, {name}, tokens a second / synchronous"] = {
                "ratio": outcome.useful / sync.useful
            }
            compared[f"{tail}, {name}, length / truth"] = {"ratio": outcome.kept_length}
    return compared


def conclusion(tables: dict[str, dict[str, Outcome]]) -> str:
    """What the figures say; a sentence that these figures do not bear out is marked so."""
    log, pareto, place = (tables[key] for key in ("lognormal", "pareto", "routing and order"))
    sync, over, members = log["synchronous"], log["over-sampling 1.5"], log["4 extra in a group"]
    wait = {bound: log[f"staleness {bound}, late ones awaited"] for bound in (2, 4, 8)}
    drop = log["staleness 2, late ones dropped"]
    busy = log["staleness 4, training takes time"], log["synchronous, training takes time"]
    turn, group = (place[f"staleness 4, routed by {key}"] for key in ("turn", "group"))
    longest, given = place["synchronous, longest first"], place["synchronous, given first"]
    gained = longest.throughput / given.throughput - 1
    points = (
        (
            f"A synchronous batch waits for its longest sample: {sync.idle:.0%} of the slots idle (Pareto: "
            f"{pareto['synchronous'].idle:.0%}).",
            min(sync.idle, pareto["synchronous"].idle) > 0.5,
        ),
        (
            f"Over-sampling groups by 1.5 trains {over.throughput / sync.throughput:.1f} times the groups a "
            f"second, but on samples {over.kept_length:.2f} times as long as the truth (Pareto: "
            f"{pareto['over-sampling 1.5'].kept_length:.2f}); in tokens it is {over.useful / sync.useful:.1f} "
            "times. It drops the long answers, which are the hard tasks. Do not use it where length goes with "
            "difficulty.",
            over.useful > sync.useful and over.kept_length < 0.9 > pareto["over-sampling 1.5"].kept_length,
        ),
        (
            f"Half as many members again in each group cost as much and do less: "
            f"{members.throughput / sync.throughput:.1f} times the groups, on samples "
            f"{members.kept_length:.2f} times as long; every group is kept, but only its quick answers.",
            sync.throughput < members.throughput < over.throughput and members.kept_length < 0.9,
        ),
        (
            "Asynchrony that waits for late groups keeps the truth: staleness 4 trains "
            f"{wait[4].throughput / sync.throughput:.1f} times as much as synchronous, "
            f"{wait[4].throughput:.2f} of the ideal; where training takes half a batch's time, "
            f"{busy[0].throughput / busy[1].throughput:.1f} times.",
            wait[4].throughput > over.useful and abs(wait[4].kept_length - 1.0) < 1e-9,
        ),
        (
            "The bound that never makes the trainer wait is about the longest sample, in means, over the "
            f"samples a slot in a batch: here 8, and there it is {wait[8].throughput:.2f} of the ideal. A "
            f"looser bound is not staler on the whole: mean {wait[8].staleness:.1f} with 8, "
            f"{wait[2].staleness:.1f} with 2, because nothing piles up behind a wait; only the few long groups "
            "are old.",
            wait[8].throughput > 0.95 and wait[8].staleness < wait[2].staleness,
        ),
        (
            "A strict bound that drops late groups is over-sampling by another name: staleness 2 keeps "
            f"samples {drop.kept_length:.2f} times as long as the truth. Loosen the bound, let late groups "
            "finish, and weigh them by their staleness.",
            drop.kept_length < 0.9,
        ),
        (
            f"Neither routing nor order matters much: least loaded by turn against sticky groups, "
            f"{turn.throughput:.2f} against {group.throughput:.2f} of the ideal with staleness 4 (a request "
            f"waits {turn.wait_p99:.1f} against {group.wait_p99:.1f} s, p99); longest tasks first, by what is "
            f"known beforehand, is worth {gained:+.0%} to a synchronous batch.",
            abs(turn.throughput - group.throughput) < 0.05 and abs(gained) < 0.1,
        ),
    )
    return "\nWhat it says\n" + "".join(_point(*point) for point in points)


def _point(text: str, is_so: bool) -> str:
    marked = text if is_so else f"NOT SO in this run: {text}"
    return textwrap.fill(marked, 110, initial_indent="- ", subsequent_indent="  ") + "\n"


def scale_conclusion(tables: dict[str, dict[str, Outcome]], replicas: list[int]) -> str:
    """What the sizes say."""
    small, large = (tables[f"{count} replicas"] for count in (min(replicas), max(replicas)))
    own = (small["synchronous"].throughput, large["synchronous"].throughput)
    over, free = large["over-sampling 1.5"], large["staleness 1, late ones awaited"]
    return _point(
        f"Size: from {min(replicas)} to {max(replicas)} replicas a synchronous batch falls from {own[0]:.2f} to "
        f"{own[1]:.2f} of the ideal, because the longest of more samples is longer, until it meets the cap. A "
        f"bound of 1 only doubles that at most ({free.throughput:.2f}); over-sampling by 1.5 does more "
        f"({over.throughput:.2f}), on samples {over.kept_length:.2f} times as long as the truth.",
        own[1] <= own[0] and own[1] < free.throughput < min(2.1 * own[1], over.throughput),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--replicas", type=int, nargs="*", default=[8, 100, 1000, 10_000])
    parser.add_argument("--batches", type=int, default=BATCHES, help="measured batches of the policy tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    engines = Engines(replicas=REPLICAS)
    tables: dict[str, dict[str, Outcome]] = {}
    for tail in ("lognormal", "pareto"):
        workload = Workload(turns=3, tail=tail, seed=options.seed)
        title = f"{tail}, {REPLICAS} replicas x {engines.slots} slots"
        tables[tail] = run_table(title, workload, engines, policies(workload, engines), options.batches)
    workload = Workload(turns=3, seed=options.seed)
    title = "routing and order"
    tables[title] = run_table(f"{title}, lognormal", workload, engines, places(), options.batches)
    for count in options.replicas:
        workload, many, rows = scaled(count)
        title = f"{count} replicas"
        tables[title] = run_table(
            f"{title} x {many.slots} slots", replace(workload, seed=options.seed), many, rows, SCALE_BATCHES
        )
    print(conclusion(tables), end="")
    if options.replicas:
        print(scale_conclusion(tables, options.replicas), end="")
    if options.json:
        document: dict[str, Any] = {
            title: {name: asdict(outcome) for name, outcome in rows.items()} for title, rows in tables.items()
        }
        document["compared"] = compare(tables)
        Path(options.json).write_text(json.dumps(document, indent=2), "utf-8")


if __name__ == "__main__":
    main()
