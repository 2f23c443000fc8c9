"""XMLParser against verifiers 0.1, and where it differs on purpose."""

import copy
import pickle
import re
import time

import pytest

from textgym.errors import ConfigError
from textgym.parsers import ParseOutcome, XMLParser

OK, MISSING, MALFORMED, AMBIGUOUS = (
    ParseOutcome.OK,
    ParseOutcome.MISSING,
    ParseOutcome.MALFORMED,
    ParseOutcome.AMBIGUOUS,
)


def _said(*texts):
    return [{"role": "assistant", "content": text} for text in texts]


def test_alternatives_are_attributes_and_absent_ones_are_none():
    parsed = XMLParser(["reasoning", ("tool", "answer")]).parse(
        "<reasoning>\n a\nb \n</reasoning>\n<answer> 4 </answer>"
    )
    assert (parsed.reasoning, parsed.tool, parsed.answer) == ("a\nb", None, "4")
    assert parsed.outcome is OK


def test_unknown_fields_are_an_attribute_error_that_names_the_known_ones():
    parsed = XMLParser(["reasoning", "answer"]).parse("")
    with pytest.raises(AttributeError, match="reasoning, answer"):
        _ = parsed.anwser
    assert not hasattr(parsed, "guess")
    with pytest.raises(AttributeError, match="no field 'guess'"):
        parsed.all("guess")


@pytest.mark.parametrize(
    ("text", "outcome", "answer"),
    [
        ("<answer>4</answer>", OK, "4"),
        ("<answer></answer>", OK, ""),
        ("<answer>4</answer> or <answer> 4\n</answer>", OK, "4"),
        ("<answer>3</answer> no: <answer>4</answer>", AMBIGUOUS, "4"),
        ("<answer>4", MALFORMED, None),
        ("4</answer>", MALFORMED, None),
        ("</answer>4<answer>", MALFORMED, None),
        ("<Answer>4</Answer>", MISSING, None),
        ("<answer >4</answer >", MISSING, None),
        ("4", MISSING, None),
        ("", MISSING, None),
    ],
)
def test_outcomes(text, outcome, answer):
    parsed = XMLParser(["answer"]).parse(text)
    assert (parsed.outcome, parsed.answer) == (outcome, answer)


def test_the_outcome_is_the_worst_of_the_fields_and_each_has_its_own():
    parsed = XMLParser(["think", "plan", ("tool", "answer")]).parse(
        "<think>a<plan>b</plan><tool>c</tool><answer>d</answer>"
    )
    assert parsed.outcome_of("think") is MALFORMED
    assert parsed.outcome_of("plan") is OK
    assert parsed.outcome_of("tool") is parsed.outcome_of("answer") is AMBIGUOUS
    assert parsed.outcome is MALFORMED


def test_repeated_tags_are_all_there_and_pick_chooses():
    text = "<tool>1</tool><tool>2</tool><tool>3</tool>"
    last, first = (XMLParser(["tool"], "tool", pick=pick) for pick in ("last", "first"))
    assert last.parse(text).all("tool") == ("1", "2", "3")
    assert last.parse(text).tool == last.parse_answer(text) == "3"
    assert first.parse(text).tool == first.parse_answer(text) == "1"


def test_a_mention_of_the_tag_does_not_swallow_the_answer():
    text = "I must use <answer> tags. <answer>4</answer>"
    assert XMLParser(["answer"]).parse_answer(text) == "4"
    assert XMLParser(["answer"], pick="first").parse_answer(text) == "4"


def test_parse_answer_takes_the_last_message_that_has_one():
    parser = XMLParser(["reasoning", ("tool", "answer")])
    messages = _said("<answer>1</answer>", "<answer>2</answer>", "<tool>{}</tool>")
    assert parser.parse_answer(messages) == "2"
    assert parser.parse_answer(messages[2:]) is None
    assert parser.parse(messages).tool == "{}"
    assert XMLParser(["a"], answer_field=None).parse_answer("<a>1</a>") is None


def test_extract_fn_applies_to_the_answer_only():
    parser = XMLParser(["answer"], extract_fn=lambda text: text.rstrip("%"))
    assert parser.parse_answer("<answer>4%</answer>") == "4"
    assert parser.parse("<answer>4%</answer>").answer == "4%"
    assert parser.format_answer("4%") == "<answer>\n4%\n</answer>"


def test_format_writes_canonical_names_and_reads_back():
    parser = XMLParser(["reasoning", ("code", "answer")])
    text = parser.format(reasoning="why", answer=4)
    assert text == "<reasoning>\nwhy\n</reasoning>\n<code>\n4\n</code>"
    assert parser.get_fields() == ["reasoning", "code"]
    assert parser.get_format_str() == (
        "<reasoning>\n...\n</reasoning>\n<[ code | answer ]>\n...\n</[ code | answer ]>"
    )


def test_format_refuses_missing_unknown_and_unreadable_values():
    parser = XMLParser(["reasoning", "answer"])
    with pytest.raises(ConfigError, match="missing value for field 'answer'"):
        parser.format(reasoning="a")
    with pytest.raises(ConfigError, match="unknown fields guess"):
        parser.format(reasoning="a", answer="b", guess="c")
    with pytest.raises(ConfigError, match="cannot be read back"):
        parser.format(reasoning="a", answer="b</answer>c")
    assert parser.parse(parser.format(reasoning="use <answer>", answer="b")).answer == "b"


def test_format_answer_earns_the_full_format_reward():
    parser = XMLParser(["reasoning", ("tool", "answer")])
    text = parser.format_answer("4")
    assert text == "<reasoning>\n...\n</reasoning>\n<answer>\n4\n</answer>"
    assert parser.parse_answer(text) == "4"
    assert parser.get_format_reward_func()(text) == 1.0
    with pytest.raises(ConfigError, match="does not parse back"):
        parser.format_answer("</answer>")
    with pytest.raises(ConfigError, match="no answer field"):
        XMLParser(["tool"], answer_field=None).format_answer("4")


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("<reasoning>a</reasoning><answer>4</answer>", 1.0),
        (" <reasoning>a</reasoning>\n<tool>4</tool>\n", 1.0),
        ("So: <reasoning>a</reasoning><answer>4</answer>", 0.8),
        ("<answer>4</answer>", 0.6),
        ("The answer is <answer>4</answer>.", 0.4),
        ("<reasoning>a</reasoning><answer>4", 0.8),
        ("<reasoning>a", 0.2),
        ("the answer is 4", 0.0),
        ("", 0.0),
    ],
)
def test_format_reward(text, score):
    reward = XMLParser(["reasoning", ("tool", "answer")]).get_format_reward_func()
    assert reward(text) == pytest.approx(score)


def test_format_reward_averages_over_the_assistants_messages():
    reward = XMLParser(["reasoning", "answer"]).get_format_reward_func()
    full = "<reasoning>a</reasoning><answer>4</answer>"
    messages = [*_said(full), {"role": "user", "content": full}, *_said("no")]
    assert reward(messages) == pytest.approx(0.5)


TEXTS = [
    "<reasoning> a </reasoning>\n<answer>\n4\n</answer>",
    "<answer>1</answer><answer>2</answer>",
    "x<tool>{}</tool>y</answer>",
    "<answer><tool>1</tool></answer>",
    "</answer><reasoning>\n</reasoning>",
    "<reasoning>a</reasoning><answer>open",
    "\u3000<answer>\u3000b\u3000</answer>\u3000",
]


@pytest.mark.parametrize("text", TEXTS)
def test_first_blocks_and_scores_are_those_of_verifiers(text):
    parser = XMLParser(["reasoning", ("tool", "answer")], pick="first")
    expected = {name: _verifiers_field(text, name) for name in ("reasoning", "tool", "answer")}
    parsed = parser.parse(text)
    assert {name: getattr(parsed, name) for name in expected} == expected
    assert parser.format_score(text) == pytest.approx(_verifiers_score(text, parser.fields))


def _verifiers_field(text, name):
    match = re.search(rf"<{name}>\s*(.*?)\s*</{name}>", text, re.DOTALL)
    return match.group(1).strip() if match else None


def _verifiers_score(text, fields):
    """The score of verifiers 0.1.0 for a text with at least one readable field."""
    present = 0
    for alternatives in fields:
        present += any(f"<{name}>" in text or f"</{name}>" in text for name in alternatives)
    starts = any(text.strip().startswith(f"<{name}>") for name in fields[0])
    ends = any(text.strip().endswith(f"</{name}>") for name in fields[-1])
    return 0.4 * present / len(fields) + 0.2 + 0.2 * starts + 0.2 * ends


def test_results_are_equal_by_content_and_pickle():
    parser = XMLParser(["reasoning", ("tool", "answer")])
    parsed = parser.parse("<reasoning>a</reasoning><answer>4</answer>")
    assert parsed == parser.parse("<reasoning> a </reasoning> <answer>4</answer>")
    assert parsed != parser.parse("<answer>4</answer>")
    for twin in (pickle.loads(pickle.dumps(parsed)), copy.deepcopy(parsed), copy.copy(parsed)):
        assert twin == parsed
        assert hash(twin) == hash(parsed)
    assert repr(parsed) == "XMLFields(reasoning='a', tool=None, answer='4', outcome='ok')"
    assert pickle.loads(pickle.dumps(parser)).parse_answer("<answer>4</answer>") == "4"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("answer", "list of tag names"),
        ([], "list of tag names"),
        ([()], "neither a tag name nor a tuple"),
        ([["a", "b"]], "neither a tag name nor a tuple"),
        ([3], "neither a tag name nor a tuple"),
        ([("a", 3)], "not allowed"),
        (["two words"], "not allowed"),
        (["_private"], "not allowed"),
        (["outcome"], "not allowed"),
        (["a", ("b", "a")], "occurs twice"),
        (["think", "guess"], "answer_field='guess'"),
    ],
)
def test_bad_fields_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        XMLParser(fields)


def test_bad_pick_is_refused():
    with pytest.raises(ConfigError, match="pick"):
        XMLParser(["answer"], pick="middle")


@pytest.mark.parametrize(
    "unit", ["<answer>", "</answer>", "<", "<answer", "<answer></answer>", "</answer><answer>"]
)
def test_a_megabyte_of_tags_is_parsed_at_once(unit):
    text = unit * (1_000_000 // len(unit))
    parser = XMLParser(["reasoning", ("tool", "answer")])
    start = time.process_time()
    parser.parse(text)
    assert time.process_time() - start < 0.5
