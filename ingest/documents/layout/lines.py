"""The lines of a block, and how one line is joined to the next."""

from collections.abc import Sequence
from statistics import median

from ingest.documents.layout.box import Box, union
from ingest.documents.layout.fragment import Fragment
from ingest.documents.layout.word import PlacedWord

Line = list[PlacedWord]
"""Words in reading order."""

MIN_OVERLAP = 0.5
"""Of the lower one's height: with less, two fragments are on different lines."""


def lines(block: Sequence[Fragment], *, from_right: bool = False) -> list[Line]:
    """From top to bottom; the fragments of a line from left to right, or from right to left."""
    found, cores = list[list[Fragment]](), list[Box]()
    for fragment in sorted(block, key=lambda fragment: (fragment.box.top + fragment.box.bottom) / 2):
        if cores and _on_one_line(cores[-1], fragment.box):
            found[-1].append(fragment)
            cores[-1] = max(cores[-1], fragment.box, key=lambda box: box.width)
        else:
            found.append([fragment])
            cores.append(fragment.box)
    for line in found:
        line.sort(key=lambda fragment: fragment.box.left, reverse=from_right)
    return [[word for fragment in line for word in fragment.words] for line in found]


def _on_one_line(line: Box, box: Box) -> bool:
    overlap = min(line.bottom, box.bottom) - max(line.top, box.top)
    return overlap >= MIN_OVERLAP * min(line.height, box.height)


def size(line: Line) -> float:
    """The height of its letters' line in points: of most of its words."""
    return median(word.box.height for word in line)


def box(line: Line) -> Box:
    return union(word.box for word in line)
