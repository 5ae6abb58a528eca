"""From characters to words."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ingest.documents.layout.box import Box
from ingest.documents.layout.word import PlacedWord
from ingest.documents.pdf.glyphs import HYPHEN, FloatArray, Glyphs

MAX_GAP = 0.75
MAX_OVERLAP = 1.5
MAX_STEP = 0.3
"""All of the line's height: from one character to the next of a word, along the line and across it."""

AngleOf = Callable[[int], float]
"""Radians by which a character is turned clockwise on the page, by its index."""

_RUN = re.compile(rf"[^\s{HYPHEN}]+{HYPHEN}?|{HYPHEN}")
"""What has no white space within. A hyphen that ends a line ends it, too."""


def placed_words(glyphs: Glyphs, angle_of: AngleOf) -> list[PlacedWord]:
    """Words in the order in which they were drawn, as `lay_out` takes them: each box as it lies when its word is
    upright. Characters whose middle is not on the shown page are left out.
    """
    runs = [match.span() for match in _RUN.finditer(glyphs.text)]
    if not runs:
        return []
    lengths = [end - start for start, end in runs]
    turns = np.array([round(angle_of(start) / (math.pi / 2)) % 4 for start, _ in runs])
    characters = np.concatenate([np.arange(start, end) for start, end in runs])
    is_shown = _is_shown(glyphs)[characters]
    characters, turn = characters[is_shown], np.repeat(turns, lengths)[is_shown]
    if not len(characters):
        return []
    boxes = _upright(glyphs.boxes[characters], turn, glyphs.width, glyphs.height)
    firsts = np.flatnonzero(
        _begins_word(boxes, characters, np.repeat(np.arange(len(runs)), lengths)[is_shown])
    )
    lowest, highest = np.minimum.reduceat(boxes, firsts), np.maximum.reduceat(boxes, firsts)
    joined = np.concatenate([lowest[:, :2], highest[:, 2:]], axis=1)
    ends = np.append(firsts[1:], len(characters)) - 1
    return [
        PlacedWord(
            glyphs.text[first : last + 1],
            Box(*box),
            glued=first > 0 and not glyphs.text[first - 1].isspace(),
            quarters=(quarters + glyphs.quarters) % 4,
            first=first,
        )
        for first, last, box, quarters in zip(
            characters[firsts].tolist(),
            characters[ends].tolist(),
            joined.tolist(),
            turn[firsts].tolist(),
            strict=True,
        )
    ]


def _is_shown(glyphs: Glyphs) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n,): whether the middle of a character is on the shown page."""
    middle = (glyphs.boxes[:, :2] + glyphs.boxes[:, 2:]) / 2
    inside = (middle >= 0) & (middle <= (glyphs.width, glyphs.height))
    return inside[:, 0] & inside[:, 1]


def _upright(
    boxes: FloatArray, turns: np.ndarray[Any, np.dtype[np.int_]], width: float, height: float
) -> FloatArray:
    """(n, 4): the boxes after the page was turned back, by each one's quarters of a turn."""
    left, top, right, bottom = boxes.T
    return np.select(
        [(turns == quarters)[:, None] for quarters in range(4)],
        [
            boxes,
            np.stack((top, width - right, bottom, width - left), axis=1),
            np.stack((width - right, height - bottom, width - left, height - top), axis=1),
            np.stack((height - bottom, left, height - top, right), axis=1),
        ],
    )


def _begins_word(
    boxes: FloatArray, characters: np.ndarray[Any, np.dtype[np.intp]], run: np.ndarray[Any, np.dtype[np.intp]]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n,): whether it begins a run, or goes on somewhere else than the character before it."""
    left, top, right, bottom = boxes.T
    height = np.minimum(bottom - top, np.roll(bottom - top, 1))
    gap = np.maximum(left - np.roll(right, 1), np.roll(left, 1) - right) / np.maximum(height, 1e-6)
    step = np.abs(top + bottom - np.roll(top + bottom, 1)) / 2 / np.maximum(height, 1e-6)
    goes_on = (gap <= MAX_GAP) & (gap >= -MAX_OVERLAP) & (step <= MAX_STEP)
    goes_on &= (run == np.roll(run, 1)) & (characters == np.roll(characters, 1) + 1)
    goes_on[0] = False
    return ~goes_on
