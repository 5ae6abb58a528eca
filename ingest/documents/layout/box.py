"""A rectangle on a page."""

from collections.abc import Iterable
from typing import NamedTuple


class Box(NamedTuple):
    """In points or as shares of the page, with y growing downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box around all of them; there is at least one."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def turned(box: Box, quarters: int, width: float, height: float) -> Box:
    """The box after the page of `width` x `height` was turned clockwise by `quarters` of a full turn."""
    left, top, right, bottom = box
    match quarters % 4:
        case 1:
            return Box(height - bottom, left, height - top, right)
        case 2:
            return Box(width - right, height - bottom, width - left, height - top)
        case 3:
            return Box(top, width - right, bottom, width - left)
        case _:
            return box
