"""Verdicts on mathematical answers: the table, bounds on hostile text, properties, and rewards."""

from __future__ import annotations

import asyncio
import threading
import time
import tomllib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from textgym.errors import ConfigError
from textgym.parsers import BoxedParser, XMLParser
from textgym.rewards import MathOutcome, Rubric, math_match, verify_math
from textgym.rewards.math import averify_math, math_outcome
from textgym.rewards.math import verdict as ladder
from textgym.rewards.math.pool import is_installed

needs_extra = pytest.mark.skipif(not is_installed(), reason="the extra `math` is not installed")

CORRECT, WRONG, UNPARSABLE, TIMEOUT = MathOutcome

TABLE = tomllib.loads(Path(__file__).with_name("verify_math.toml").read_text("utf-8"))
"""Class -> ``pairs`` of (gold, answer, verdict), and how the class is to be read."""

ONE_WAY = {
    ("5", "AB = 5"), ("x^2+y^2=1", "1"), ("B", "b"), ("B", "Option B"),
}  # fmt: skip
"""Pairs of the table that are not symmetric: labels and choices are read by the side of the gold answer."""


def boxed(answer: str) -> str:
    return rf"\boxed{{{answer}}}"


# --- the table -------------------------------------------------------------------------------------------


def test_the_table_is_large_and_has_no_doubles() -> None:
    pairs = [(kind, gold, answer) for kind, part in TABLE.items() for gold, answer, _ in part["pairs"]]
    assert len(pairs) >= 400
    assert len(set(pairs)) == len(pairs)


def missed(kind: str, *, worker: bool, deadline: float = 2.0) -> list[tuple[str, str, str, str]]:
    found = []
    for gold, answer, expected in TABLE[kind]["pairs"]:
        text = answer if TABLE[kind].get("whole_texts") else boxed(answer)
        verdict = verify_math(text, gold, worker=worker, deadline=deadline).value
        found.append((gold, answer, expected, verdict))
    return [entry for entry in found if entry[2] != entry[3]]


@pytest.mark.parametrize("kind", [kind for kind in TABLE if not TABLE[kind].get("needs_extra")])
def test_table_without_the_extra(kind: str) -> None:
    assert missed(kind, worker=False) == []


@needs_extra
@pytest.mark.parametrize("kind", list(TABLE))
def test_table_with_the_extra(kind: str) -> None:
    assert missed(kind, worker=True, deadline=0.3 if "hostile" in kind else 10.0) == []


SYMMETRIC = [
    (kind, gold, answer, expected)
    for kind, part in TABLE.items()
    if not part.get("whole_texts") and not part.get("needs_extra")
    for gold, answer, expected in part["pairs"]
]


def test_table_is_reflexive_and_symmetric() -> None:
    for kind, gold, answer, expected in SYMMETRIC:
        for text in (gold, answer):
            assert verify_math(boxed(text), text, worker=False) is CORRECT, (kind, text)
            assert verify_math(text, text, worker=False) is CORRECT, (kind, text)
        if (gold, answer) not in ONE_WAY:
            swapped = verify_math(boxed(gold), answer, worker=False)
            assert (swapped is CORRECT) == (expected == "correct"), (kind, answer, gold)


def test_without_the_extra_nothing_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "is_installed", lambda: False)
    assert verify_math(boxed(r"\int_0^1 x dx"), "1/2") is UNPARSABLE
    assert verify_math(boxed(r"\gamma(\sin(x))!"), r"\gamma(\sin(-x))!") is WRONG
    assert asyncio.run(averify_math(boxed(r"\int_0^1 x dx"), "1/2")) is UNPARSABLE


# --- arguments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "answer", "tolerance", "expected"),
    [
        ("1/3", "0.333", 0.01, CORRECT), ("1/3", "0.333", 1e-6, WRONG), ("3.14", r"\pi", 1e-3, CORRECT),
        ("3.14", r"\pi", 1e-4, WRONG), ("100", "101", 0.01, CORRECT), ("100", "102", 0.01, WRONG),
        ("0", "0.001", 0.01, WRONG), ("(1/3, 2)", "(0.3333, 2)", 1e-3, CORRECT), ("5 m", "5.01 m", 0.01, CORRECT),
        ("5 m", "5.01 cm", 0.01, WRONG), ("[0, 1/3]", "[0, 0.33333]", 1e-3, CORRECT),
        ("x+1", "x+1.0001", 0.1, WRONG), ("1e400", "1e401", 0.1, WRONG), (r"\infty", "9", 0.1, WRONG),
    ],
)  # fmt: skip
def test_tolerance_is_relative_and_explicit(
    gold: str, answer: str, tolerance: float, expected: MathOutcome
) -> None:
    assert verify_math(boxed(answer), gold, tolerance=tolerance, worker=False) is expected


@pytest.mark.parametrize("gold", [42, 42.0, Fraction(84, 2), "42"])
def test_gold_may_be_a_number(gold: object) -> None:
    assert verify_math(r"\boxed{42}", gold) is CORRECT
    assert verify_math(r"\boxed{41}", gold) is WRONG


@pytest.mark.parametrize("bad", [{"tolerance": -1}, {"tolerance": float("nan")}, {"deadline": 0}])
def test_bad_arguments(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="tolerance"):
        verify_math("1", "1", **bad)  # type: ignore[arg-type]


# --- hostile text ----------------------------------------------------------------------------------------

MEGABYTE = {
    "braces": "{" * 10**6,
    "open boxes": r"\boxed{" * 150_000,
    "nested boxes": r"\boxed{" * 60_000 + "7" + "}" * 60_000,
    "a box and open boxes": r"\boxed{1}" + r"\boxed{" * 140_000,
    "boxes": "".join(rf"\boxed{{{i}}}" for i in range(90_000)),
    "answer tags": "<answer>" * 120_000,
    "answers": "<answer>1</answer>" * 60_000,
    "closing tags": "</answer>" * 120_000 + "<answer>",
    "thoughts": "<think></think>" * 70_000,
    "spaces": " " * 10**6,
    "one line": "so the final answer is " * 45_000,
    "digits": "1,111" * 200_000,
    "a full box": r"\boxed{" + "1+" * 500_000 + "1}",
    "signs": "±½√²" * 250_000,
    "open text": r"\text{" * 160_000,
    "hope": "final answer is I hope it is correct" * 25_000,
}
DENSE = {
    "parentheses": "(" * 300 + "7" + ")" * 300,
    "fractions": r"\frac{1}{1+" * 60 + "1" + "}" * 60,
    "mixed numbers": r"2\frac{" * 30 + "1" + "}{2}" * 30,
    "plus or minus": r"\pm " * 39 + "7",
    "powers of sums": "+".join(f"(x+y+z+{i})^{{15}}" for i in range(60)),
    "product of sums": "".join(f"(x+{i})^{{40}}" for i in range(150)),
    "sum of fractions": "+".join(rf"\frac{{1}}{{x+{i}}}" for i in range(120)),
    "roots": r"\sqrt{x+" * 18 + "2" + "}" * 18,
    "power of roots": r"(\sqrt2+\sqrt3+\sqrt5+\sqrt7+\pi)^{200}",
    "tower": "^".join("x" * 35),
    "factorials": r"\cdot ".join(["999!"] * 150),
    "long root": r"\sqrt{" + "9" * 1900 + "}",
    "set of roots": r"\{" + ",".join(rf"\sqrt{{{i}}}" for i in range(99)) + r"\}",
    "union": r" \cup ".join(f"({2 * i},{2 * i + 1})" for i in range(150)),
    "conditions": " or ".join(f"x<{i}" for i in range(200)),
    "nested sets": r"\{" * 35 + "1" + r"\}" * 35,
}  # fmt: skip


@pytest.mark.parametrize("name", MEGABYTE)
def test_a_megabyte_is_bounded(name: str) -> None:
    text = MEGABYTE[name]
    began = time.monotonic()
    assert verify_math(text, "42", worker=False) in (WRONG, UNPARSABLE)
    assert verify_math(r"\boxed{42}", text, worker=False) in (WRONG, UNPARSABLE)
    assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("name", DENSE)
def test_dense_expressions_are_bounded(name: str) -> None:
    text = boxed(DENSE[name])
    began = time.monotonic()
    for gold in ("42", "(x+y+z)^{10}+1", r"\{1,2\}", "(0,1)"):
        assert verify_math(text, gold, worker=False) in (WRONG, UNPARSABLE)
    assert verify_math(text, DENSE[name], worker=False) is CORRECT
    assert time.monotonic() - began < 3.0


HOSTILE = [
    r"\sum_{k=1}^{10} 9^{9^{9}}", r"\int_0^2 9^{9^{9}} dx", r"\lim_{x \to 0} 9^{9^9}", r"\prod_{k=1}^{10^{8}} k",
]  # fmt: skip


@needs_extra
def test_hostile_text_is_stopped_at_the_deadline_in_threads() -> None:
    verify_math(boxed(r"\int_0^1 x dx"), "1/2", deadline=10.0)  # a worker is there
    found: list[MathOutcome] = []

    def judge(text: str) -> None:
        found.append(verify_math(boxed(text), "41", deadline=0.3))

    threads = [threading.Thread(target=judge, args=(text,)) for text in HOSTILE[:3]]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [TIMEOUT] * len(threads)
    assert time.monotonic() - began < 15.0
    assert verify_math(boxed(r"\int_0^4 x dx"), "8", deadline=10.0) is CORRECT


@needs_extra
def test_the_event_loop_runs_on() -> None:
    async def main() -> tuple[list[MathOutcome], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        calls = [averify_math(boxed(text), "43", deadline=0.4) for text in HOSTILE[:2]]
        found = await asyncio.gather(*calls, averify_math(boxed(r"\int_0^6 x dx"), "18", deadline=10.0))
        ticking.cancel()
        return found, ticks

    found, ticks = asyncio.run(main())
    assert found == [TIMEOUT, TIMEOUT, CORRECT]
    assert ticks > 15


@needs_extra
def test_a_cancelled_caller_harms_nobody() -> None:
    async def main() -> None:
        call = asyncio.create_task(averify_math(boxed(HOSTILE[0]), "44", deadline=0.3))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert verify_math(boxed(HOSTILE[0]), "44", deadline=0.3) is TIMEOUT


# --- properties ------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.fractions(max_denominator=999).map(str),
    st.decimals(-(10**6), 10**6, allow_nan=False, allow_infinity=False, places=4).map(lambda d: f"{d:f}"),
    st.tuples(st.integers(1, 99), st.integers(2, 99)).map(lambda p: rf"{p[0]}\sqrt{{{p[1]}}}"),
    st.tuples(st.integers(-9, 99), st.integers(1, 99)).map(lambda p: rf"\frac{{{p[0]}\pi}}{{{p[1]}}}"),
)
expressions = st.recursive(
    st.one_of(numbers, st.sampled_from(["x", "y", r"\alpha", "e", "i", "x_1"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", r"\cdot ", "/"]), inner).map(
            lambda t: f"({t[0]}){t[1]}({t[2]})"
        ),
        st.tuples(inner, inner).map(lambda t: rf"\frac{{{t[0]}}}{{{t[1]}}}"),
        st.tuples(inner, st.integers(-3, 4)).map(lambda t: f"({t[0]})^{{{t[1]}}}"),
        inner.map(lambda t: rf"\sqrt{{{t}}}"),
        inner.map(lambda t: rf"\sin({t})"),
    ),
    max_leaves=6,
)
sets = st.lists(numbers, min_size=1, max_size=4).map(lambda items: r"\{" + ", ".join(items) + r"\}")
PIECES = r"""
\frac \sqrt { } ( ) [ ] 1 12 x y + - ^ _ = < \le \pm , ; | ! % \pi e \infty \cup \in \{ \} \sin \log \text{cm} or
and m cm ½ ² √ . 0.5 \boxed{ <answer> </answer> \begin{pmatrix} \end{pmatrix} & \\ \binom \mathbb{R} \setminus \mid
: \approx $ U \circ \choose f( 1,000 \left. yes A (B) \lfloor 1e9 sqrt ####
"""
pieces = st.lists(st.sampled_from([*PIECES.split(), " "]), max_size=12).map("".join)


@given(expressions)
def test_reflexive(expression: str) -> None:
    assert verify_math(boxed(expression), expression, worker=False) is CORRECT
    assert verify_math(expression, boxed(expression), worker=False) is CORRECT


@given(st.one_of(numbers, sets), st.one_of(numbers, sets))
def test_symmetric(left: str, right: str) -> None:
    there = verify_math(boxed(left), right, worker=False)
    assert there is verify_math(boxed(right), left, worker=False)
    assert there in (CORRECT, WRONG)


@given(expressions)
def test_adding_one_makes_it_wrong(expression: str) -> None:
    verdict = verify_math(boxed(f"({expression}) + 1"), expression, worker=False)
    assume("/" not in expression or "0" not in expression)
    assert verdict is not CORRECT


@given(st.integers(-999, 999), st.integers(1, 999), st.integers(1, 99))
def test_a_fraction_in_many_spellings(above: int, below: int, factor: int) -> None:
    gold = str(Fraction(above, below))
    spellings = [
        f"{above * factor}/{below * factor}", rf"\dfrac{{{above}}}{{{below}}}", rf"${above} \div {below}$",
        rf"x = \frac{{{above * factor}}}{{{below * factor}}}", rf"{above} \cdot {below}^{{-1}}",
    ]  # fmt: skip
    for spelling in spellings:
        assert verify_math(boxed(spelling), gold, worker=False) is CORRECT, spelling
    assert verify_math(boxed(f"{above + 1}/{below}"), gold, worker=False) is WRONG


@settings(max_examples=300)
@given(st.one_of(st.text(), pieces), st.one_of(st.text(), pieces))
def test_no_text_raises(text: str, gold: str) -> None:
    for one, two in ((text, gold), (boxed(text), gold), (boxed(text), text)):
        assert verify_math(one, two, worker=False) in MathOutcome


# --- rewards ---------------------------------------------------------------------------------------------


def test_math_match_in_a_rubric() -> None:
    rubric = Rubric([math_match], parser=BoxedParser()).add_metric(math_outcome)
    score = rubric.score_sync(completion=r"\boxed{\frac{2}{4}}", answer="0.5")
    assert score.rewards == {"math_match": 1.0}
    assert score.metrics == {
        "math_correct": 1.0,
        "math_wrong": 0.0,
        "math_unparsable": 0.0,
        "math_timeout": 0.0,
    }
    score = rubric.score_sync(completion="1/2, without a box", answer="0.5")
    assert score.reward == 0.0
    assert score.metrics["math_unparsable"] == 1.0
    hedged = rubric.score_sync(completion=r"\boxed{3} or \boxed{7}", answer="7")
    assert hedged.reward == 0.0
    assert hedged.metrics["math_wrong"] == 1.0
    near = rubric.score_sync(completion=r"\boxed{0.33}", answer="1/3", tolerance=0.02)
    assert near.reward == 1.0


def test_math_match_with_other_parsers_and_messages() -> None:
    def match(completion: object, answer: object, parser: object = None) -> float:
        return asyncio.run(math_match(completion, answer, parser))

    xml = XMLParser(["reasoning", "answer"])
    assert match("<reasoning>…</reasoning><answer>2^3</answer>", 8, xml) == 1.0
    assert match("<answer>9</answer>", 8, xml) == 0.0
    assert match("8", 8, xml) == 0.0
    assert match("8", 8) == 1.0
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": r"\boxed{8}"}]
    assert match(messages, "8") == match(messages, "8", BoxedParser()) == 1.0
    assert match([], "8") == 0.0


@needs_extra
def test_a_timeout_is_a_zero_that_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ladder.averify_math, "__kwdefaults__", {"tolerance": 0.0, "deadline": 0.3, "worker": True}
    )
    rubric = Rubric([math_match]).add_metric(math_outcome)
    began = time.monotonic()
    score = rubric.score_sync(completion=boxed(HOSTILE[3]), answer="45")
    assert (score.reward, score.metrics["math_timeout"]) == (0.0, 1.0)
    assert time.monotonic() - began < 10.0
