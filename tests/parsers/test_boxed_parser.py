r"""BoxedParser: the last balanced \boxed or \fbox."""

import time

import pytest

from textgym.errors import ConfigError
from textgym.parsers import BoxedParser, ParseOutcome

OK, MISSING, MALFORMED, AMBIGUOUS = (
    ParseOutcome.OK,
    ParseOutcome.MISSING,
    ParseOutcome.MALFORMED,
    ParseOutcome.AMBIGUOUS,
)


@pytest.mark.parametrize(
    ("text", "answer", "outcome"),
    [
        (r"so \boxed{42}.", "42", OK),
        (r"\fbox{ 42 }", "42", OK),
        (r"\boxed {42}", "42", OK),
        (r"\boxed{}", "", OK),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", OK),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}", OK),
        (r"\boxed{a\}}", r"a\}", OK),
        (r"\boxed{a\\}", r"a\\", OK),
        (r"\\boxed{42}", "42", OK),
        (r"\boxed{1} = \\boxed{1}", "1", OK),
        (r"\boxed{\boxed{3}}", "3", OK),
        (r"{ \boxed{3} ", "3", OK),
        (r"} \boxed{3} }", "3", OK),
        (r"\boxed{1} no \boxed{2}", "2", AMBIGUOUS),
        (r"\boxed{1} no \boxed{2", "1", AMBIGUOUS),
        (r"\boxed{ \boxed{3}", "3", AMBIGUOUS),
        (r"\boxed{42", None, MALFORMED),
        (r"\boxed{{42}", None, MALFORMED),
        (r"\boxed{42\}", None, MALFORMED),
        (r"\boxed 42", None, MALFORMED),
        (r"\boxed", None, MALFORMED),
        (r"\boxedfoo{42}", None, MISSING),
        ("boxed{42}", None, MISSING),
        ("", None, MISSING),
    ],
)
def test_parse(text, answer, outcome):
    parsed = BoxedParser().parse(text)
    assert (parsed.answer, parsed.outcome) == (answer, outcome)
    assert BoxedParser().parse_answer(text) == answer
    assert BoxedParser().get_format_reward_func()(text) == float(answer is not None)


def test_the_last_message_with_a_box_counts():
    messages = [{"role": "assistant", "content": c} for c in (r"\boxed{1}", r"\boxed{2}", "done")]
    assert BoxedParser().parse_answer(messages) == "2"
    assert BoxedParser().get_format_reward_func()(messages) == pytest.approx(2 / 3)


def test_extract_fn():
    parser = BoxedParser(extract_fn=lambda text: text.removeprefix("x="))
    assert parser.parse_answer(r"\boxed{x=4}") == "4"


def test_format_answer():
    assert BoxedParser().format_answer(r"\frac{1}{2}") == r"\boxed{\frac{1}{2}}"
    for unbalanced in ("}", "{", "a\\", r"x \boxed{1}"):
        with pytest.raises(ConfigError, match="does not parse back"):
            BoxedParser().format_answer(unbalanced)


@pytest.mark.parametrize("unit", [r"\boxed{", r"\boxed{}", "{", "}", "{}", "\\", r"\boxed ", " "])
def test_a_megabyte_is_parsed_in_linear_time(unit):
    text = r"\boxed{" + unit * (1_000_000 // len(unit))
    start = time.process_time()
    BoxedParser().parse(text)
    assert time.process_time() - start < 2.0


def test_deep_nesting_needs_no_recursion():
    depth = 50_000
    parsed = BoxedParser().parse(r"\boxed{" * depth + "4" + "}" * depth)
    assert (parsed.answer, parsed.outcome) == ("4", OK)
