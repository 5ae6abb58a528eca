"""Tiles and regions: means of neighbouring patches of a page. They are few, so a search looks at them first."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from jobs.embed import PatchGrid

TILE = 2, 3
"""Rows and columns of patches, about. Text runs from side to side, so neighbours there are more alike."""

REGION = 4, 4
"""The same of a region."""

Rows = np.ndarray[Any, np.dtype[np.float32]]


def tiles(vectors: Rows, grids: Sequence[PatchGrid]) -> Rows:
    """The tiles of all of a page's images, of unit length, grid by grid and row by row: (tiles, dimension).

    vectors: all of the page's, (rows, dimension). Without a grid, runs of neighbours are pooled.
    """
    return _means(vectors, grids, *TILE)


def regions(vectors: Rows, grids: Sequence[PatchGrid]) -> Rows:
    """The same of regions, of which a page has fewer."""
    return _means(vectors, grids, *REGION)


def _means(vectors: Rows, grids: Sequence[PatchGrid], height: int, width: int) -> Rows:
    if not grids:
        return _unit(_pooled(vectors[:, None], height * width)[:, 0])
    return _unit(np.concatenate([_of_grid(vectors, grid, height, width) for grid in grids]))


def _of_grid(vectors: Rows, grid: PatchGrid, height: int, width: int) -> Rows:
    dimension = vectors.shape[1]
    # Patches lie row by row: (rows, columns) in this order. The other way round pools patches that are no neighbours.
    patches = vectors[grid.first : grid.first + grid.rows * grid.columns]
    image = patches.reshape(grid.rows, grid.columns, dimension)
    down = _pooled(image, height)
    return _pooled(down.swapaxes(0, 1), width).swapaxes(0, 1).reshape(-1, dimension)


def _pooled(image: Rows, length: int) -> Rows:
    """Means of runs of about that length along the first axis. No run is longer than another by more than one."""
    count = max(1, len(image) // length)
    bounds = [number * len(image) // count for number in range(count + 1)]
    # np.add.reduceat takes four times as long.
    means = [image[start:end].sum(axis=0) / np.float32(end - start) for start, end in pairwise(bounds)]
    return np.stack(means)


def _unit(rows: Rows) -> Rows:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
