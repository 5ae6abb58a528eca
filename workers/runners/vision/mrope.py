"""Where tokens are on the three axes of Qwen2.5-VL's and Qwen3-VL's rotary positions: time, row, column."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jobs.embed import PatchGrid


def rotary_positions(tokens: int, grids: Sequence[PatchGrid]) -> NDArray[np.int32]:
    """(3, tokens). Texts count on all three axes alike; an image's tokens stay at one time, and have rows and columns.

    grids: of the images, in order. What follows an image goes on after its largest position (Qwen2-VL, arXiv
    2409.12191, section 2.1).
    """
    found = np.empty((3, tokens), dtype=np.int32)
    at = position = 0
    for grid in grids:
        text = grid.first - at
        found[:, at : grid.first] = np.arange(position, position + text)
        start, at = position + text, grid.first + grid.rows * grid.columns
        rows, columns = np.indices((grid.rows, grid.columns), dtype=np.int32).reshape(2, -1)
        found[:, grid.first : at] = start + np.stack([np.zeros_like(rows), rows, columns])
        position = start + max(grid.rows, grid.columns)
    found[:, at:] = np.arange(position, position + tokens - at)
    return found
