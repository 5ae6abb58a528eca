"""Words that follow one another on a line, without a gap that could part columns."""

from collections.abc import Iterable
from typing import NamedTuple

from ingest.documents.layout.box import Box, union
from ingest.documents.layout.word import PlacedWord

MAX_GAP = 0.75
"""Of the line's height. Spaces are narrower, also in justified lines; what parts columns is wider."""
MAX_STEP = 0.3
"""Of the line's height: how far the middle of a word may lie above or below the word before it."""


class Fragment(NamedTuple):
    words: list[PlacedWord]
    box: Box
    size: float
    """The height of its first word, in points; more than 0."""


def fragments(words: Iterable[PlacedWord]) -> list[Fragment]:
    """Joins words that come after one another in the content and lie beside one another on the page."""
    runs = list[list[PlacedWord]]()
    for word in words:
        if runs and _continues(runs[-1][-1].box, word.box):
            runs[-1].append(word)
        else:
            runs.append([word])
    return [Fragment(run, union(word.box for word in run), run[0].box.height or 1.0) for run in runs]


def _continues(last: Box, box: Box) -> bool:
    """From left to right, or from right to left."""
    height = min(last.height, box.height)
    gap = max(box.left - last.right, last.left - box.right)
    step = abs((last.top + last.bottom) - (box.top + box.bottom)) / 2
    return -MAX_STEP * height <= gap <= MAX_GAP * height and step <= MAX_STEP * max(last.height, box.height)
