"""ThinkParser: the text after the thinking, alone or read by another parser."""

import copy
import pickle
import time

import pytest

from textgym.errors import ConfigError
from textgym.parsers import BoxedParser, JSONParser, ParseOutcome, ThinkParser, XMLParser

OK, MISSING, MALFORMED, AMBIGUOUS = (
    ParseOutcome.OK,
    ParseOutcome.MISSING,
    ParseOutcome.MALFORMED,
    ParseOutcome.AMBIGUOUS,
)


@pytest.mark.parametrize(
    ("text", "answer", "outcome", "score"),
    [
        ("<think>\na\n</think>\n 4 \n", "4", OK, 1.0),
        ("<think></think>4", "4", OK, 1.0),
        ("a </think> 4", "4", OK, 1.0),  # the template has opened it
        ("Well. <think>a</think>4", "4", OK, 0.0),
        ("<think>a<think>b</think>4", "4", OK, 0.0),
        ("<think>a</think>3</think>4", "4", AMBIGUOUS, 0.0),
        ("<think>a</think>3<think>b</think>4", "4", AMBIGUOUS, 0.0),
        ("<think>a</think> \n", None, MISSING, 0.0),
        ("4", None, MISSING, 0.0),
        ("", None, MISSING, 0.0),
        ("<think>it is 4", None, MALFORMED, 0.0),
        ("<think>a</think>4<think>or 5", None, MALFORMED, 0.0),
        ("<Think>a</Think>4", None, MISSING, 0.0),
    ],
)
def test_outcomes(text, answer, outcome, score):
    parsed = ThinkParser().parse(text)
    assert (parsed.answer, parsed.outcome) == (answer, outcome)
    assert ThinkParser().parse_answer(text) == answer
    assert ThinkParser().format_score(text) == score


@pytest.mark.parametrize(
    ("text", "answer", "outcome", "score"),
    [
        ("4", "4", OK, 1.0),
        ("<think>a</think>4", "4", OK, 1.0),
        ("<think>it is 4", None, MALFORMED, 0.0),
        ("  ", None, MISSING, 0.0),
    ],
)
def test_thinking_may_be_optional(text, answer, outcome, score):
    parser = ThinkParser(required=False)
    assert (parser.parse(text).answer, parser.parse(text).outcome) == (answer, outcome)
    assert parser.format_score(text) == score


def test_the_thinking_is_there_too():
    assert ThinkParser().parse("<think>\n a </think>4").thinking == "a"
    assert ThinkParser().parse("a </think>4").thinking == "a"
    assert ThinkParser(required=False).parse("4").thinking is None
    assert ThinkParser(tag="reasoning").parse_answer("<reasoning>a</reasoning>4") == "4"


def test_an_inner_parser_reads_what_follows():
    parser = ThinkParser(inner=BoxedParser())
    parsed = parser.parse(r"<think>\boxed{3}</think>So \boxed{4}.")
    assert (parsed.answer, parsed.outcome, parsed.inner.answer) == ("4", OK, "4")
    assert parser.parse(r"<think>\boxed{3}</think>So 4.").outcome is MISSING
    assert parser.parse(r"<think>\boxed{3}</think>So \boxed{4").outcome is MALFORMED
    assert parser.parse(r"<think>a</think>b</think>\boxed{4}").outcome is AMBIGUOUS
    assert parser.format_score(r"<think>a</think>\boxed{4}") == 1.0
    assert parser.format_score("<think>a</think>4") == 0.0
    assert parser.format_score(r"\boxed{4}") == 0.0
    xml = ThinkParser(inner=XMLParser(["plan", "answer"]))
    assert xml.format_score("<think>a</think><answer>4</answer>") == pytest.approx(0.6)
    assert xml.parse("<think>a</think><plan>b</plan><answer>4</answer>").inner.plan == "b"


def test_both_extract_functions_apply_in_order():
    inner = BoxedParser(extract_fn=lambda text: text.removeprefix("x=") if "=" in text else None)
    parser = ThinkParser(lambda text: text + "!", inner=inner)
    assert parser.parse_answer(r"</think>\boxed{x=4}") == "4!"
    assert parser.parse_answer(r"</think>\boxed{4}") is None


def test_format_answer():
    assert ThinkParser().format_answer(" 4 ") == "<think>\n...\n</think>\n 4 "
    assert ThinkParser(inner=BoxedParser()).format_answer("4") == "<think>\n...\n</think>\n\\boxed{4}"
    nested = ThinkParser(inner=ThinkParser(inner=JSONParser(), tag="plan"))
    assert nested.parse_answer(nested.format_answer("4")) == "4"
    assert nested.get_format_reward_func()(nested.format_answer("4")) == 1.0
    for answer in ("", "</think>", "a <think> b"):
        with pytest.raises(ConfigError, match="does not parse back"):
            ThinkParser().format_answer(answer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inner": "boxed"}, "inner is 'boxed'"),
        ({"inner": BoxedParser}, "inner is <class"),
        ({"tag": "<think>"}, "name of a tag"),
        ({"extract_fn": 3}, "extract_fn is 3"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ThinkParser(**arguments)


@pytest.mark.parametrize("unit", ["<think>", "</think>", "<think></think>", "<", " "])
def test_a_megabyte_is_parsed_in_linear_time(unit):
    text = "<think>" + unit * (1_000_000 // len(unit))
    start = time.process_time()
    for parser in (ThinkParser(inner=BoxedParser()), ThinkParser(required=False)):
        parser.parse(text)
        parser.format_score(text)
    assert time.process_time() - start < 2.0


def test_parsers_and_results_pickle():
    parser = ThinkParser(inner=BoxedParser())
    twin = pickle.loads(pickle.dumps(parser))
    parsed = parser.parse(r"<think>a</think>\boxed{4}")
    assert twin.parse(r"<think>a</think>\boxed{4}") == pickle.loads(pickle.dumps(parsed)) == parsed
    assert copy.deepcopy(parser).parse_answer(r"</think>\boxed{4}") == "4"
    assert repr(parser) == "ThinkParser(inner=BoxedParser(), required=True, tag='think')"
