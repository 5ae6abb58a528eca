"""From placed words to a text and where in it each word is."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from ingest.documents.layout.box import Box
from ingest.documents.layout.columns import blocks
from ingest.documents.layout.fragment import fragments
from ingest.documents.layout.lines import Line, box, lines, size
from ingest.documents.layout.script import is_rtl, is_spaceless
from ingest.documents.layout.word import PlacedWord

SOFT_HYPHEN = "\u00ad"
HYPHENS = SOFT_HYPHEN + "\u0002\ufffe"
"""A hyphen at a line's end: a soft one, and PDFium's two names for one that it recognised."""
MIN_SPACE = 0.12
"""Of the line's height. Words that are nearer and had no white space between them are one."""
WIDER = 1.4
"""Times the usual step from one line of the block to the next: from there on it is another paragraph."""
MAX_LEADING = 1.75
"""Of the line's height: a usual step is no longer than that."""
FULL_LINE = 0.9
"""Of the block's width: a line that long goes on in the next one, if its script has no spaces."""


class TextLine(NamedTuple):
    """A line of the text."""

    start: int
    """Character at which it begins."""
    text: str
    size: float
    """Height of its letters' line in points."""


class LaidOut(NamedTuple):
    """A page's text in reading order."""

    text: str
    lines: list[TextLine]
    words: list[tuple[int, PlacedWord]]
    """Each with the character at which it begins, in reading order."""


def lay_out(words: Sequence[PlacedWord]) -> LaidOut:
    """Boxes of turned words are given as they lie once they are upright. What is upright on the page comes first."""
    writer = _Writer()
    turns = Counter(word.quarters for word in words)
    for quarters in sorted(turns, key=lambda quarters: (quarters != 0, -turns[quarters])):
        same = [word for word in words if word.quarters == quarters]
        rtl = 2 * sum(is_rtl(word.text) for word in same) > len(same)
        for block in blocks(fragments(same), from_right=rtl):
            writer.block(lines(block, from_right=rtl))
    return writer.result()


class _Writer:
    """Appends lines to a text. `_parts` ends with a word's text whenever a line is complete."""

    def __init__(self) -> None:
        self._parts = list[str]()
        self._length = 0
        self._lines = list[TextLine]()
        self._words = list[tuple[int, PlacedWord]]()

    def result(self) -> LaidOut:
        text = "".join(self._parts)
        for hyphen in HYPHENS[1:]:  # at the end of the page: what it was joined to is not here
            text = text.replace(hyphen, "-")
        return LaidOut(text, self._lines, self._words)

    def block(self, block: Sequence[Line]) -> None:
        boxes = [box(line) for line in block]
        width = max(each.width for each in boxes)
        usual = median(map(_step, boxes, boxes[1:])) if len(boxes) > 1 else 0
        for i, line in enumerate(block):
            if self._parts:
                full = i > 0 and boxes[i - 1].width >= FULL_LINE * width
                is_paragraph = i == 0 or _is_apart(boxes[i - 1], boxes[i], usual)
                self._break(line, is_paragraph=is_paragraph, full=full)
            self._line(line)

    def _break(self, line: Line, *, is_paragraph: bool, full: bool) -> None:
        """Writes what comes between the last word and the next line."""
        last, first = self._parts[-1], line[0].text
        if len(last) > 1 and last[-1] in HYPHENS:
            joint = "" if first[0].islower() or last[-1] == SOFT_HYPHEN else "-"
            self._parts[-1] = last[:-1] + joint
            self._length += len(joint) - 1
        elif is_paragraph:
            self._write("\n\n")
        elif not (full and is_spaceless(last[-1]) and is_spaceless(first[0])):
            self._write("\n")

    def _line(self, line: Line) -> None:
        start, first = self._length, len(self._parts)
        for i, word in enumerate(line):
            if i and _has_space(line[i - 1], word):
                self._write(" ")
            self._words.append((self._length, word))
            self._write(word.text)
        self._lines.append(TextLine(start, "".join(self._parts[first:]), size(line)))

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)


def _step(upper: Box, lower: Box) -> float:
    """From the middle of one line to that of the next."""
    return (lower.top + lower.bottom - upper.top - upper.bottom) / 2


def _is_apart(upper: Box, lower: Box, usual: float) -> bool:
    height = min(upper.height, lower.height)
    return _step(upper, lower) > WIDER * max(height, min(usual, MAX_LEADING * height))


def _has_space(last: PlacedWord, word: PlacedWord) -> bool:
    gap = max(word.box.left - last.box.right, last.box.left - word.box.right)
    height = min(word.box.height, last.box.height)
    if is_spaceless(last.text[-1]) and is_spaceless(word.text[0]):
        return gap >= height
    return not word.glued or gap >= MIN_SPACE * height
