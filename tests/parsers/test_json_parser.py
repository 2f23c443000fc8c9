"""JSONParser: which values are found, which one counts, and what is no JSON."""

import json
import pickle
import time

import pytest

from textgym.errors import ConfigError
from textgym.parsers import JSONParser, ParseOutcome
from textgym.parsers.json_values import MAX_DEPTH, find_json

OK, MISSING, MALFORMED, AMBIGUOUS = (
    ParseOutcome.OK,
    ParseOutcome.MISSING,
    ParseOutcome.MALFORMED,
    ParseOutcome.AMBIGUOUS,
)


@pytest.mark.parametrize(
    ("text", "answer", "outcome"),
    [
        ('{"answer": 4}', "4", OK),
        ('So: {"answer": " four "}.', "four", OK),
        ('{"answer": ""}', "", OK),
        ('{"answer": true}', "true", OK),
        ('{"answer": [1, 2.5]}', "[1, 2.5]", OK),
        ('{"answer": 12345678901234567890123}', "12345678901234567890123", OK),
        ('{"answer": "a \\"}\\" b"}', 'a "}" b', OK),
        ('{"answer": "\\ud800"}', "\ud800", OK),
        ('{"answer": 4} {"answer": 4}', "4", OK),
        ('{"answer": 3} no {"answer": 4}', "4", AMBIGUOUS),
        ('{"answer": 3, "answer": 4}', "4", AMBIGUOUS),
        ('{"a": 1, "a": 1, "answer": 4}', "4", AMBIGUOUS),
        ('{"answer": 4} see [1]', "4", OK),
        ('{"answer": null}', None, MISSING),
        ('{"result": 4}', None, MISSING),
        ("[1, 2]", None, MISSING),
        ("4", None, MISSING),
        ("", None, MISSING),
        ('{"answer": 4', None, MALFORMED),
        ('{"answer": 4,}', None, MALFORMED),
        ('{"answer": NaN}', None, MALFORMED),
        ('{"answer": -Infinity}', None, MALFORMED),
        ('{"answer": 1e999}', None, MALFORMED),
        ('{"answer": ' + "9" * 5000 + "}", None, MALFORMED),
        ('{"answer": 04}', None, MALFORMED),
        ("{'answer': 4}", None, MALFORMED),
        ('{"answer": "a\nb"}', None, MALFORMED),
        ('{"answer": "\\x"}', None, MALFORMED),
        ('{"answer": 4]', None, MALFORMED),
        ('{"answer": {"answer": 4} oops', None, MALFORMED),
        (r"{1, 2, {\"a\": 1}}", None, MALFORMED),
        ('{1, {"answer": 4}}', "4", OK),
        (r"In \frac{1}{2} and {x} we have {" + '{"answer": 4}}', "4", OK),
        ('```json\n{"answer": 4}\n```\nnot {"answer": 5}', "4", OK),
        ('```json\n{"answer": 4', None, MALFORMED),
        ('```json\n{"answer": 4}', "4", OK),
        ('{"answer": 3}\n```json\n{"answer": 4,}\n```', "3", AMBIGUOUS),
        ('```json\n{"answer": 3,}\n```\n```json\n{"answer": 4}\n```', "4", AMBIGUOUS),
        ('```python\n{"answer": 3}\n```\n{"answer": 4}', "4", AMBIGUOUS),
        ('```json\n[1]\n```\n{"answer": 4}', "4", OK),
    ],
)
def test_parse(text, answer, outcome):
    parsed = JSONParser().parse(text)
    assert (parsed.answer, parsed.outcome) == (answer, outcome)
    assert JSONParser().parse_answer(text) == answer
    assert JSONParser().format_score(text) == float(answer is not None)


@pytest.mark.parametrize(
    ("text", "answer", "outcome"),
    [
        ("[1, 2]", "[1, 2]", OK),
        (" -1.5 ", "-1.5", OK),
        ('"four"', "four", OK),
        ("true", "true", OK),
        ("null", None, MISSING),
        ("four", None, MISSING),
        ("NaN", None, MISSING),
        ("```json\n7\n```", "7", OK),
        ("The answer is 4", None, MISSING),
        ('{"a": "é"}', '{"a": "é"}', OK),
    ],
)
def test_whole_values(text, answer, outcome):
    parsed = JSONParser(answer_field=None).parse(text)
    assert (parsed.answer, parsed.outcome) == (answer, outcome)


def test_paths_fields_and_pick():
    text = '{"a": {"b": [{"c": 1}, {"c": 2}]}, "why": "x"} and {"a": {"b": [{"c": 3}]}}'
    assert JSONParser(answer_field="a.b.0.c").parse_answer(text) == "3"
    assert JSONParser(answer_field="a.b.0.c", pick="first").parse_answer(text) == "1"
    assert JSONParser(["why"], "a.b.1.c").parse_answer(text) == "2"
    parsed = JSONParser(["why", "a"], None).parse(text)
    assert parsed.outcome is OK
    assert parsed.value["why"] == "x"
    assert len(JSONParser(answer_field="a").parse(text).all) == 2
    for path in ("a.b.7.c", "a.b.x", "a.b.²", "a.b.-1", "why.0", "a.b." + "9" * 99):
        assert JSONParser(answer_field=path).parse_answer(text) is None
    assert JSONParser(extract_fn=str.upper).parse_answer('{"answer": "b"}') == "B"


def test_format_answer():
    parser = JSONParser(["why"], "result.items.0")
    text = parser.format_answer("é\n4")
    assert json.loads(text) == {"why": "...", "result": {"items": {"0": "é\n4"}}}
    assert parser.parse_answer(text) == "é\n4"
    whole = JSONParser(answer_field=None)
    assert whole.format_answer('{"b":1}') == '{"b":1}'
    for answer in ("four", "null", "1 2"):
        with pytest.raises(ConfigError, match="does not parse back"):
            whole.format_answer(answer)


def test_depth_is_bounded_by_a_rule():
    for depth, fine in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False), (100_000, False)):
        found, broken = find_json("[" * depth + "]" * depth + '{"a": 1}')
        assert (len(found) == 2, broken) == (fine, not fine)
        assert found[-1].value == {"a": 1}


HOSTILE = ["{", "[", "[1,", '{"', '{"a":', '{"a":1,', '"', "\\", '{"\\"', "}", "{}", '{"a":1}', " ", "`"]


@pytest.mark.parametrize("unit", [*HOSTILE, "```json\n", "```\n", "\n", '{"a":{', '{"\n', '{ " ', "[9"])
def test_long_texts_are_parsed_in_linear_time(unit):
    text = "{" + unit * (300_000 // len(unit))
    start = time.process_time()
    JSONParser().parse(text)
    JSONParser().parse(text[:50_000] + '"}')
    assert time.process_time() - start < 6.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fields": "answer"}, "list of keys"),
        ({"fields": [3]}, "list of keys"),
        ({"answer_field": ""}, "joined by dots"),
        ({"answer_field": "a..b"}, "joined by dots"),
        ({"pick": "best"}, '"last" or "first"'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        JSONParser(**arguments)


def test_parsers_pickle():
    parser = pickle.loads(pickle.dumps(JSONParser(["a"], "a.b")))
    assert parser.parse_answer('{"a": {"b": 1}}') == "1"
    assert repr(parser) == "JSONParser(['a'], answer_field='a.b')"
