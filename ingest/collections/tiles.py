"""Tiles: means of neighbouring patches of a page. They are few, so a search looks at them first."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jobs.embed import PatchGrid

SIDE = 3
"""A tile is about so many patches wide and high."""

Rows = np.ndarray[Any, np.dtype[np.float32]]


def tiles(vectors: Rows, grids: Sequence[PatchGrid], side: int = SIDE) -> Rows:
    """The tiles of all of a page's images, of unit length, grid by grid and row by row: (tiles, dimension).

    vectors: all of the page's, (rows, dimension). Without a grid, runs of neighbours are pooled.
    """
    if not grids:
        return _unit(_pooled(vectors[:, None], side * side)[:, 0])
    pooled = [_of_grid(vectors, grid, side) for grid in grids]
    return _unit(np.concatenate(pooled))


def _of_grid(vectors: Rows, grid: PatchGrid, side: int) -> Rows:
    dimension = vectors.shape[1]
    # Patches lie row by row: (rows, columns) in this order. The other way round pools patches that are no neighbours.
    patches = vectors[grid.first : grid.first + grid.rows * grid.columns]
    image = patches.reshape(grid.rows, grid.columns, dimension)
    across = _pooled(image.swapaxes(0, 1), side).swapaxes(0, 1)
    return _pooled(across, side).reshape(-1, dimension)


def _pooled(image: Rows, side: int) -> Rows:
    """Means of runs of about `side` along the first axis. All runs are as long as the others, or longer by one."""
    count = max(1, len(image) // side)
    bounds = np.arange(count + 1) * len(image) // count
    lengths = np.diff(bounds).astype(np.float32)
    means = np.add.reduceat(image, bounds[:-1], axis=0) / lengths[:, None, None]
    return means.astype(np.float32, copy=False)


def _unit(rows: Rows) -> Rows:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
