"""Rules of the ``options`` of ``reset``.

Invariant: only options that an environment lists in ``reset_options`` are expected to work, and every other
one is expected to be refused.
"""

from __future__ import annotations

from typing import Any

from textgym.testing.rules.play import difference
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import AnyEnv, Subject, has

__all__: list[str] = []

UNKNOWN = "no_such_option"


@rule("empty-options", "3.2", needs=("playable",), waived_unless="deterministic")
def empty_options(subject: Subject) -> None:
    """``options={}`` is accepted and means the same as none."""
    bare = subject.make().reset(seed=0)
    given = subject.make().reset(seed=0, options={})
    found = difference(bare, given)
    if found:
        raise Broken(f"reset(seed=0, options={{}}): {found}")


@rule("unknown-option", "3.2", needs=("playable",))
def unknown_option(subject: Subject) -> None:
    """An option that the environment does not know is refused by name, and nothing is broken by it."""
    env = subject.make()
    call = f"reset(seed=0, options={{{UNKNOWN!r}: 1}})"
    try:
        env.reset(seed=0, options={UNKNOWN: 1})
    except Exception as error:
        if UNKNOWN not in str(error):
            raise Broken(
                f"{call} raised {type(error).__name__}: {short(str(error))}; expected an error that "
                "names the unknown option"
            ) from error
    else:
        raise Broken(f"{call} was accepted; expected an error, for a misspelt option does nothing")
    env.reset(seed=0)


@rule("index-option", "3.2", needs=("playable",), waived_unless="deterministic")
def index_option(subject: Subject) -> None:
    """``options["index"]`` picks a dataset row, whatever the seed, and is refused out of range."""
    env = subject.make()
    _understands(env, "index")
    size = env.get_wrapper_attr("num_examples") if has(env, "num_examples") else None
    try:
        seen = {_id(env, seed, {"index": 0}) for seed in (0, 1, None)}
    except ValueError as error:
        if size is not None:
            raise
        raise Untested(f"the index 0 is refused, and num_examples is None: {error}") from error
    if len(seen) != 1:
        raise Broken(f"reset(options={{'index': 0}}) gave the examples {short(sorted(seen))}")
    for index in [-1] if size is None else [-1, size]:
        try:
            env.reset(seed=0, options={"index": index})
        except Exception:
            continue
        raise Broken(
            f"reset(options={{'index': {index}}}) was accepted; expected an error: num_examples is {size}"
        )


@rule("example-option", "3.2", needs=("playable",), waived_unless="deterministic")
def example_option(subject: Subject) -> None:
    """``options["example"]`` gives an instance, which the episode is then about."""
    env = subject.make()
    _understands(env, "example")
    example = getattr(env.unwrapped, "example", None)
    if example is None:
        raise Untested("the environment has no attribute 'example' to give back to it")
    expected = _id(env, 0, {})
    example = env.unwrapped.example
    observed = _id(subject.make(), 1, {"example": example})
    if observed != expected:
        raise Broken(
            f"reset(seed=1, options={{'example': …}}) with the example of reset(seed=0) gave the "
            f"example_id {short(observed)}; expected {short(expected)}"
        )


def _understands(env: AnyEnv, option: str) -> None:
    known = env.get_wrapper_attr("reset_options") if has(env, "reset_options") else ()
    if option not in known:
        raise Untested(f"reset_options has no {option!r}")
    env.reset(seed=0)


def _id(env: AnyEnv, seed: int | None, options: dict[str, Any]) -> Any:
    return env.reset(seed=seed, options=options)[1].get("example_id")
