r"""Finding the answer in what a model wrote: the box, the answer tag, or the whole of a short text.

Where the answer is looked for, in this order, always after the last ``</think>``:

1. in the closed ``<answer>…</answer>`` tags, if there are any,
2. in the closed ``\boxed{…}``: empty ones do not count, and one that is never closed holds nothing,
3. in "the final answer is …. I hope it is correct.", and behind a last line that begins with ``####`` or "The
   answer is",
4. the whole text, if it is one short line.

Invariant: every different candidate is returned, because a text that gives two answers gives none. Total, and
linear in the text.
"""

from __future__ import annotations

import re

from textgym.parsers import BoxedParser, ParseOutcome

__all__ = ["candidates", "gold_answer"]

MAX_CANDIDATES = 12
"""Different boxes or tags that are told apart; a text with more gives no answer."""
_MAX_LINE = 300
_MAX_BOXES = 1000

_BOXES = BoxedParser()
_COMMAND = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z@])")
_MINERVA = re.compile(r"final answer is:?([^\n]{1,300}?)\.?\s*I hope it is correct", re.IGNORECASE)
_LEAD = re.compile(
    r"""(?:[#*_>\s]|\\\[|\$)*
        (?:(?:so|thus|therefore|hence|and)\b,?\s*)?
        (?:(?:the|my|our)\s+)?(?:(?:final|correct|right)\s+)*
        (?:answer|result|solution)\b
        (?:\s*(?:is|are|:|=|\*\*|equals)\s*)+""",
    re.VERBOSE | re.IGNORECASE,
)


def candidates(text: str) -> list[str]:
    """The different answers that a text gives.

    Args:
        text: Anything that a model wrote.

    Returns:
        Their contents in order; empty where there is no answer, and where there are too many.

    Example:
        >>> candidates(r"so \\boxed{3}, no: \\boxed{7}"), candidates("The answer is 12."), candidates("<answer>5")
        (['3', '7'], ['12.'], [])
    """
    thought = text.rfind("</think>")
    if thought >= 0:
        text = text[thought + len("</think>") :]
    opened = text.find("<think>")
    if opened >= 0:
        text = text[:opened]
    tagged = _tags(text)
    if tagged is not None:
        found = [box for tag in tagged for box in (_boxed(tag) or [tag])]
        return _different(found)
    if "<answer>" in text:
        return []
    if _COMMAND.search(text) is not None:
        return _different(_boxed(text))
    return _plain(text)


def gold_answer(gold: str) -> str:
    """The answer in a gold text, which may be plain, boxed, or a solution that ends in ``####``."""
    if "\\" in gold and _COMMAND.search(gold) is not None:
        boxes = _boxed(gold)
        if any(boxes):
            return ", ".join(_different(boxes))
    if "####" in gold:
        return gold.rpartition("####")[2].strip()
    return gold.strip()


def _different(found: list[str]) -> list[str]:
    kept = list(dict.fromkeys(entry.strip() for entry in found if entry.strip()))
    return kept if len(kept) <= MAX_CANDIDATES else []


def _tags(text: str) -> list[str] | None:
    """Contents of the closed answer tags, from the first to the last; None where there are none."""
    found: list[str] = []
    position = 0
    while len(found) <= MAX_CANDIDATES:
        start = text.find("<answer>", position)
        end = text.find("</answer>", start)
        if start < 0 or end < 0:
            break
        position = end + len("</answer>")
        found.append(text[text.rfind("<answer>", start, end) + len("<answer>") : end])
    return found or None


def _boxed(text: str) -> list[str]:
    """Contents of the closed boxes that are not within another."""
    parsed = _BOXES.parse(text)
    if parsed.answer is None:
        return []
    if parsed.outcome is ParseOutcome.OK and parsed.answer:
        return [parsed.answer]
    found: list[str] = []
    end = len(text)
    starts = [match.start() for match in _COMMAND.finditer(text)]
    if len(starts) > _MAX_BOXES:
        return []
    for start in reversed(starts):
        content = _BOXES.parse(text[start:end]).answer
        end = start  # every part of the text is scanned once
        if content is not None:
            found.append(content)
    return found[::-1]


def _plain(text: str) -> list[str]:
    text = text.strip()
    if "I hope it is correct" in text:
        return _different([match[1] for match in _MINERVA.finditer(text)])
    line = text[-_MAX_LINE - 1 :].rpartition("\n")[2].strip()
    if len(line) > _MAX_LINE or not line:
        return []
    if line.startswith("####"):
        return [line[4:].strip()]
    lead = _LEAD.match(line)
    if lead is not None:
        return _different([line[lead.end() :]])
    return [text] if len(text) <= _MAX_LINE and "\n" not in text else []
