"""GEM's ``make_vec`` over toys, in the one mode that it makes: a member that ends begins anew in the same step.

Settings: defaults; ``--threads`` makes its ``async_mode``, which is a pool of threads.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
from importlib.metadata import version

import gem
from gem.core import Env
from toy import Reference, Toy, actions


class GemToy(Env):
    """The toy as an environment of GEM."""

    def __init__(self, seed: int = 0) -> None:
        self.toy = Toy()

    def reset(self, seed: int | None = None) -> tuple[str, dict[str, object]]:
        """Begin an episode."""
        return self.toy.begin(seed), {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, object]]:
        """Take a turn."""
        text, reward, ended = self.toy.answer(action)
        return text, reward, ended, False, {}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", action="store_true")
    options = parser.parse_args()
    gem.register("bench:Toy", GemToy)
    with contextlib.redirect_stdout(io.StringIO()):  # it says what it makes
        envs = gem.make_vec(["bench:Toy"] * options.members, async_mode=options.threads)
    said = [actions(turn, options.members) for turn in range(options.steps)]
    envs.reset(seed=list(range(options.members)))
    began, clock = time.process_time(), time.perf_counter()
    for one in said:
        texts = envs.step(one)[0]
    spent, clock = time.process_time() - began, time.perf_counter() - clock
    reference = Reference(options.members, "same_step")
    for one in said:
        expected = reference.step(one)
    line = {
        "version": version("gem-llm"),
        "steps_per_cpu_second": options.members * options.steps / spent,
        "steps_per_second": options.members * options.steps / clock,
        "texts_are_right": list(texts) == expected,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
