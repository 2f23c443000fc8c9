"""CodeParser: fences as in CommonMark, languages, and code kept as it is."""

import pickle
import time

import pytest

from textgym.errors import ConfigError
from textgym.parsers import CodeParser, ParseOutcome
from textgym.parsers.fences import fenced_blocks

OK, MISSING, MALFORMED, AMBIGUOUS = (
    ParseOutcome.OK,
    ParseOutcome.MISSING,
    ParseOutcome.MALFORMED,
    ParseOutcome.AMBIGUOUS,
)


@pytest.mark.parametrize(
    ("text", "answer", "outcome"),
    [
        ("```python\nx = 1\n```", "x = 1", OK),
        ("```\nx = 1\n```", "x = 1", OK),
        ("~~~py\nx = 1\n~~~", "x = 1", OK),
        ("```Python3 title=a.py\nx = 1\n```", "x = 1", OK),
        ("```{.python}\nx = 1\n```", "x = 1", OK),
        ("```python\n\n\n    x = 1\n    y = 2\n\n```", "    x = 1\n    y = 2", OK),
        ("```python\r\nx = 1\r\n```\r\n", "x = 1", OK),
        ("````python\n```\nx\n```\n````", "```\nx\n```", OK),
        ("1. so\n   ```python\n   if x:\n       y\n   ```", "if x:\n    y", OK),
        ("```python\n```", "", OK),
        ("```python\nx = 1\n```\nprints\n```\n1\n```\n```text\n1\n```", "x = 1", OK),
        ("```\nx = 1\n```\n```text\n1\n```", "x = 1", OK),
        ("```python\nx\n```\n```py\nx\n```", "x", OK),
        ("```python\nx\n```\n```py\ny\n```", "y", AMBIGUOUS),
        ("```python\nx\n```\n```py\ny", "x", AMBIGUOUS),
        ("```python\nx = 1", None, MALFORMED),
        ("```python", None, MALFORMED),
        ("```javascript\nx\n```", None, MISSING),
        ("```json {}```", None, MISSING),
        ("a ```python\nx\n``` b", None, MISSING),  # a fence begins a line
        ("x = 1", None, MISSING),
        ("``\nx\n``", None, MISSING),
        ("", None, MISSING),
    ],
)
def test_parse(text, answer, outcome):
    parser = CodeParser("python")
    parsed = parser.parse(text)
    assert (parsed.answer, parsed.outcome) == (answer, outcome)
    assert parser.parse_answer(text) == answer
    assert parser.format_score(text) == float(answer is not None)


def test_languages_and_pick():
    text = "```js\na\n```\n```py\nb\n```\n```rust\nc\n```"
    assert CodeParser().parse(text).all == ("a", "b", "c")
    assert CodeParser().parse(text).language == "rust"
    assert CodeParser(pick="first").parse_answer(text) == "a"
    assert CodeParser("JavaScript").parse_answer(text) == "a"
    assert CodeParser(["python", "rust"]).parse(text).all == ("b", "c")


def test_unfenced_and_unclosed_code():
    assert CodeParser(unfenced=True).parse("\n  x = 1\n").answer == "  x = 1"
    assert CodeParser(unfenced=True).parse(" \n").outcome is MISSING
    assert CodeParser("python", unfenced=True).parse("```js\nx\n```").answer is None
    assert CodeParser(unclosed=True).parse("```python\nx = 1\n").answer == "x = 1"
    assert CodeParser(unclosed=True).parse("```python\nx = 1\n").outcome is OK


def test_format_answer():
    parser = CodeParser("python")
    for code in ("x = 1", "    x = 1\n\n    y = '''```'''", "", "~~~\n", "````\n```"):
        text = parser.format_answer(code)
        assert parser.parse_answer(text) == parser.trimmed(code)
        assert parser.get_format_reward_func()(text) == 1.0
    assert parser.format_answer("a ``` b") == "````python\na ``` b\n````"
    assert CodeParser(["rust", "python"]).format_answer("x") == "```rust\nx\n```"


def test_fences():
    assert [b.content for b in fenced_blocks("```\na\n~~~\n```\n~~~\nb\n```\n~~~")] == ["a\n~~~", "b\n```"]
    assert fenced_blocks("```a`b\nx\n```")[0].content == ""


@pytest.mark.parametrize("unit", ["`", "```\n", "```", "~~~x\n", " ", "\n", " \n", "\t```a\n", "```\n x\n"])
def test_a_megabyte_is_parsed_in_linear_time(unit):
    text = "```python\n" + unit * (1_000_000 // len(unit))
    start = time.process_time()
    CodeParser("python").parse(text)
    CodeParser(unfenced=True, unclosed=True).parse(text[10:])
    CodeParser("python").format_answer(text)
    assert time.process_time() - start < 4.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"language": "two words"}, "two words"), ({"language": [3]}, "holds 3"), ({"pick": 1}, "pick is 1")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        CodeParser(**arguments)


def test_parsers_pickle():
    parser = pickle.loads(pickle.dumps(CodeParser("python")))
    assert parser.parse_answer("```py\nx\n```") == "x"
    assert repr(parser) == "CodeParser('python')"
