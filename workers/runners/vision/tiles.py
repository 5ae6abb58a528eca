"""Images cut into the tiles that Idefics3 reads, and a small whole beside them. NumPy and Pillow alone."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.errors import InvalidInput

MAX_ASPECT = 200
"""Of the longer side to the shorter one."""

MAX_EDGE = 4096
"""Idefics3's own limit."""


class Tiling(NamedTuple):
    """How images are scaled and cut into tiles."""

    edge: int
    """Pixels of a scaled image's longer side."""
    tile: int
    """Pixels of a tile's side."""


class Tiles(NamedTuple):
    """An image cut into tiles."""

    values: NDArray[np.uint8]
    """uint8 (tiles, side, side, channels): the tiles row by row, then the whole image."""
    rows: int
    """Rows of tiles; 0 for an image that is read as a whole only."""
    columns: int
    """Columns of tiles; 0 likewise."""


def cut_to_tiles(image: Image.Image, tiling: Tiling) -> Tiles:
    """An RGB image: its longer side brought to `edge`, then both to whole tiles. Raises InvalidInput."""
    width, height = image.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InvalidInput(
            f"An image of {width} * {height} pixels is too narrow: the model reads up to {MAX_ASPECT} to 1.",
            param="input",
        )
    tile = tiling.tile
    image = _scaled(image, *_edged(width, height, min(tiling.edge, MAX_EDGE)))
    image = _scaled(image, *_whole_tiles(*image.size, tile))
    columns, rows = image.width // tile, image.height // tile
    pixels = np.asarray(image, dtype=np.uint8)
    if rows == columns == 1:
        return Tiles(pixels[None], 0, 0)
    tiles = pixels.reshape(rows, tile, columns, tile, 3).transpose(0, 2, 1, 3, 4).reshape(-1, tile, tile, 3)
    whole = np.asarray(_scaled(image, tile, tile), dtype=np.uint8)
    return Tiles(np.concatenate([tiles, whole[None]]), rows, columns)


def _scaled(image: Image.Image, width: int, height: int) -> Image.Image:
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.LANCZOS)


def _edged(width: int, height: int, edge: int) -> tuple[int, int]:
    """The longer side is `edge`; the other keeps the proportions, rounded up to an even number."""
    if width >= height:
        other = int(edge / (width / height))
        return edge, max(other + other % 2, 1)
    other = int(edge * (width / height))
    return max(other + other % 2, 1), edge


def _whole_tiles(width: int, height: int, tile: int) -> tuple[int, int]:
    """Up to whole tiles: the longer side first, the other one after it."""
    aspect = width / height
    if width >= height:
        width = math.ceil(width / tile) * tile
        return width, math.ceil(int(width / aspect) / tile) * tile
    height = math.ceil(height / tile) * tile
    return math.ceil(int(height * aspect) / tile) * tile, height
