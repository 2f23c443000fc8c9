"""The base parser, the completions it reads and the format reward."""

import copy
import pickle

import pytest

from textgym.errors import ConfigError
from textgym.parsers import FormatReward, ParsedText, ParseOutcome, Parser, assistant_texts


def _said(*texts):
    return [{"role": "assistant", "content": text} for text in texts]


def test_the_whole_text_is_the_answer():
    assert Parser().parse(" 4 \n") == ParsedText("4", ParseOutcome.OK)
    assert Parser().parse_answer(" 4 \n") == "4"


@pytest.mark.parametrize("blank", ["", " \n\t", []])
def test_blank_text_holds_no_answer(blank):
    assert Parser().parse(blank) == ParsedText(None, ParseOutcome.MISSING)
    assert Parser().parse_answer(blank) is None
    assert Parser().get_format_reward_func()(blank) == 0.0


def test_the_last_assistant_message_with_an_answer_counts():
    messages = [*_said("first"), {"role": "user", "content": "Sure?"}, *_said("second", "  ")]
    assert Parser().parse_answer(messages) == "second"


def test_content_without_text_and_content_in_parts_are_read():
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    messages = [*_said(None, parts), {"role": "assistant", "tool_calls": []}]
    assert assistant_texts(messages) == ["", "ab", ""]
    assert Parser().parse_answer(messages) == "ab"


@pytest.mark.parametrize("wrong", [None, 3, ["text"], b"x", iter([])])
def test_what_is_neither_text_nor_messages_is_named(wrong):
    with pytest.raises(ConfigError, match="completion is"):
        Parser().parse_answer(wrong)


def test_extract_fn_reads_the_answer_and_none_moves_on():
    parser = Parser(extract_fn=lambda text: text.partition("=")[2] or None)
    assert parser.parse_answer(_said("x=4", "I am done")) == "4"
    assert parser.parse_answer("nothing") is None
    with pytest.raises(ConfigError, match="extract_fn"):
        Parser(extract_fn="answer")


def test_a_subclass_needs_only_parse():
    class Shouting(Parser):
        def parse(self, text):
            return text.upper() if isinstance(text, str) and text else None

    assert Shouting().parse_answer("yes") == "YES"
    assert Shouting().parse_answer("") is None
    assert Shouting().format_score("yes") == 1.0
    assert Shouting().format_score("") == 0.0


def test_format_answer_refuses_what_cannot_be_read_back():
    assert Parser().format_answer("4") == "4"
    with pytest.raises(ConfigError, match="does not parse back"):
        Parser().format_answer("  ")
    with pytest.raises(ConfigError, match=r"str\(answer\)"):
        Parser().format_answer(4)


def test_format_reward_is_the_mean_over_assistant_messages_and_pickles():
    reward = Parser().get_format_reward_func()
    assert reward.__name__ == "format"
    messages = [{"role": "user", "content": "?"}, *_said("a", "")]
    assert reward(completion=messages, answer="a", state={}) == 0.5
    for twin in (pickle.loads(pickle.dumps(reward)), copy.deepcopy(reward)):
        assert isinstance(twin, FormatReward)
        assert twin.__name__ == "format"
        assert twin(messages) == 0.5
