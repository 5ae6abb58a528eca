"""Parts a page into blocks in reading order: what lies in columns is read column by column."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from ingest.documents.layout.box import union
from ingest.documents.layout.fragment import MAX_GAP, Fragment

CORE = 0.15
"""Of a line's height: what is cut off above and below before lines are told apart, because tight lines overlap."""
MIN_COLUMN_WIDTH = 8.0
"""In line heights: narrower ones are a table's, which is read row by row, or the numbers of a list."""
MIN_COLUMN_ROWS = 3
MAX_GUTTERS = 40
"""With more, it is a table."""
MIN_BESIDE = 0.3
"""Of the lower column's height: how much of it has the other one beside it."""

Gap = tuple[float, float]
"""A range of x that nothing covers. A list of them begins with what is left of everything, and ends with what is right
of it; those between are gutters.
"""


class _Band(NamedTuple):
    """What lies between two heights of the page."""

    fragments: list[Fragment]
    gaps: list[Gap]

    @property
    def gutters(self) -> list[Gap]:
        return self.gaps[1:-1]


def blocks(fragments: Sequence[Fragment], *, from_right: bool = False) -> list[list[Fragment]]:
    """The fragments of each block, blocks in reading order. Lines go across the whole width of a block."""
    todo, done = [list(fragments)] if fragments else [], list[list[Fragment]]()
    while todo:
        some = todo.pop()
        parts = _parts(some, from_right=from_right)
        if len(parts) == 1:
            done.append(some)
        else:
            todo.extend(reversed(parts))
    return done


def _parts(fragments: list[Fragment], *, from_right: bool) -> list[list[Fragment]]:
    """Columns, and what lies above, between and below them in one piece each."""
    parts, is_whole = list[list[Fragment]](), False
    for band in _bands(fragments):
        columns = _columns(band, from_right=from_right)
        if is_whole and len(columns) == 1:
            parts[-1].extend(columns[0])
        else:
            parts.extend(columns)
        is_whole = len(columns) == 1
    return parts


def rows(fragments: Sequence[Fragment]) -> list[list[Fragment]]:
    """From top to bottom: what has no other row's letters above or below it at the same height."""
    found, bottom = list[list[Fragment]](), float("-inf")
    for fragment in sorted(fragments, key=lambda fragment: fragment.box.top):
        margin = CORE * fragment.size
        if fragment.box.top + margin >= bottom:
            found.append([])
        found[-1].append(fragment)
        bottom = max(bottom, fragment.box.bottom - margin)
    return found


def _bands(fragments: list[Fragment]) -> list[_Band]:
    """From top to bottom: rows that have a gutter in common are a band, and so are rows without any. What has none is
    continued by rows with some only if it runs through none of them: a wide space within a line is no gutter.
    """
    bands = list[_Band]()
    for row in rows(fragments):
        band = _Band(row, _gaps(row))
        if bands:
            last = bands[-1]
            common = _common(last.gaps, band.gaps, _narrowest(row))
            if len(common) > 2 if last.gutters else len(common) == len(band.gaps):
                last.fragments.extend(row)
                bands[-1] = _Band(last.fragments, common)
                continue
        bands.append(band)
    return bands


def _narrowest(row: Sequence[Fragment]) -> float:
    return MAX_GAP * median(fragment.size for fragment in row)


def _gaps(row: Sequence[Fragment]) -> list[Gap]:
    gaps, right, width = list[Gap](), float("-inf"), _narrowest(row)
    for fragment in sorted(row, key=lambda fragment: fragment.box.left):
        if fragment.box.left - right >= width:
            gaps.append((right, fragment.box.left))
        right = max(right, fragment.box.right)
    return [*gaps, (right, float("inf"))]


def _common(some: Sequence[Gap], others: Sequence[Gap], width: float) -> list[Gap]:
    """What is in a gap of both, if it is at least so wide."""
    found, i, j = list[Gap](), 0, 0
    while i < len(some) and j < len(others):
        left, right = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if right - left >= width:
            found.append((left, right))
        if some[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return found


def _columns(band: _Band, *, from_right: bool) -> list[list[Fragment]]:
    """The band's columns in reading order; the band as it is where these are not columns of text."""
    if not 0 < len(band.gutters) <= MAX_GUTTERS:
        return [band.fragments]
    edges = [right for _, right in band.gaps]
    strips = [list[Fragment]() for _ in edges[1:]]
    place = 0
    for fragment in sorted(band.fragments, key=lambda fragment: fragment.box.left):
        while fragment.box.left >= edges[place + 1]:
            place += 1
        strips[place].append(fragment)
    strips = _joined(strips, [right - left for left, right in band.gutters])
    if not all(_are_beside(left, right) for left, right in pairwise(strips)):
        return [band.fragments]
    return strips[::-1] if from_right else strips


def _joined(strips: Sequence[list[Fragment]], widths: Sequence[float]) -> list[list[Fragment]]:
    """Strips that are no columns are joined to a neighbour: to the nearer one. widths: of the gutters between them."""
    strips, widths, fine = list(strips), list(widths), [_is_column(strip) for strip in strips]
    while len(strips) > 1 and not all(fine):
        worst = fine.index(False)
        at_left = worst == len(widths) or (worst > 0 and widths[worst - 1] <= widths[worst])
        left = worst - 1 if at_left else worst
        strips[left : left + 2] = [strips[left] + strips[left + 1]]
        fine[left : left + 2] = [_is_column(strips[left])]
        del widths[left]
    return strips


def _is_column(strip: Sequence[Fragment]) -> bool:
    widths = [sum(fragment.box.width / fragment.size for fragment in row) for row in rows(strip)]
    return len(widths) >= MIN_COLUMN_ROWS and median(widths) >= MIN_COLUMN_WIDTH


def _are_beside(some: Sequence[Fragment], others: Sequence[Fragment]) -> bool:
    """What lies one above the other is read so, although it could be parted by a line from top to bottom."""
    one, other = union(fragment.box for fragment in some), union(fragment.box for fragment in others)
    common = min(one.bottom, other.bottom) - max(one.top, other.top)
    return common >= MIN_BESIDE * min(one.height, other.height)
