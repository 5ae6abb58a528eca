"""Pictures cut into the patches that Qwen2.5-VL reads, and where each patch belongs. NumPy and Pillow alone.

Patches come in blocks of merge * merge, which the model makes one token of; blocks go row by row.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.errors import InvalidInput

MAX_PIXELS = 768 * 28 * 28
"""A page at which ColQwen2.5 was trained. Some checkpoints lost the limit, and would read 3000 tokens of an A4 page."""

MAX_ASPECT = 200
"""Of the longer side to the shorter one: Qwen2.5-VL's own limit."""

Index = NDArray[np.int32]


class Cut(NamedTuple):
    """How pictures are cut. patch: pixels of a patch's side. merge: patches of a block's side.
    min_pixels, max_pixels: of a picture once it is scaled.
    """

    patch: int
    merge: int
    min_pixels: int
    max_pixels: int

    @property
    def block(self) -> int:
        """Pixels of a block's side."""
        return self.patch * self.merge


class Patches(NamedTuple):
    """A picture cut up. values: uint8 (patches, channels * patch * patch). rows, columns: of blocks."""

    values: NDArray[np.uint8]
    rows: int
    columns: int


class Groups(NamedTuple):
    """Patches that see each other. members: (groups, width) patches, any where real is False. real: None for all.
    at: (patches,) where each is among the members.
    """

    members: Index
    real: NDArray[np.bool_] | None
    at: Index


def cut_up(picture: Image.Image, cut: Cut) -> Patches:
    """An RGB picture, scaled to whole blocks within the pixels allowed. Raises InvalidInput."""
    width, height = fitting_size(*picture.size, cut)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    rows, columns, merge, patch = height // cut.block, width // cut.block, cut.merge, cut.patch
    pixels = np.asarray(picture, dtype=np.uint8).reshape(rows, merge, patch, columns, merge, patch, 3)
    blocks = pixels.transpose(0, 3, 1, 4, 6, 2, 5)
    return Patches(blocks.reshape(rows * columns * merge * merge, 3 * patch * patch), rows, columns)


def fitting_size(width: int, height: int, cut: Cut) -> tuple[int, int]:
    """The nearest whole blocks, the proportions kept as far as they can be (transformers' smart_resize)."""
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InvalidInput(
            f"An image of {width} * {height} pixels is too narrow: the model reads up to {MAX_ASPECT} to 1.",
            param="input",
        )
    block = cut.block
    across, down = round(width / block) * block, round(height / block) * block
    if across * down > cut.max_pixels:
        shrink = math.sqrt(width * height / cut.max_pixels)
        across = max(block, math.floor(width / shrink / block) * block)
        down = max(block, math.floor(height / shrink / block) * block)
    elif across * down < cut.min_pixels:
        grow = math.sqrt(cut.min_pixels / (width * height))
        across = math.ceil(width * grow / block) * block
        down = math.ceil(height * grow / block) * block
    return across, down


def places(rows: int, columns: int, merge: int) -> Index:
    """Row and column of each of a picture's patches: (patches, 2)."""
    at = np.indices((rows, merge, columns, merge), dtype=np.int32)
    down, across = at[0] * merge + at[1], at[2] * merge + at[3]
    return np.stack([each.transpose(0, 2, 1, 3).reshape(-1) for each in (down, across)], axis=1)


def whole_pictures(sizes: Sequence[tuple[int, int]], merge: int) -> Groups:
    """Each patch sees its picture. sizes: rows and columns of the blocks of all pictures."""
    counts = np.array([rows * columns * merge * merge for rows, columns in sizes])
    return _grouped(np.arange(counts.sum(), dtype=np.int32), counts)


def windows(sizes: Sequence[tuple[int, int]], merge: int, side: int) -> Groups:
    """Each patch sees its window of side * side blocks, cut off at the picture's right and lower edge."""
    orders: list[Index] = []
    counts: list[NDArray[np.int64]] = []
    first = 0
    for rows, columns in sizes:
        down, across = np.indices((rows, columns)).reshape(2, -1)
        window = down // side * -(-columns // side) + across // side
        blocks = np.argsort(window, kind="stable")
        within = np.arange(merge * merge)
        orders.append((first + (blocks[:, None] * merge * merge + within)).reshape(-1).astype(np.int32))
        counts.append(np.bincount(window) * merge * merge)
        first += rows * columns * merge * merge
    return _grouped(np.concatenate(orders), np.concatenate(counts))


def _grouped(order: Index, counts: NDArray[np.int64]) -> Groups:
    """order: the patches of the first group, then those of the second, … counts: how many each has."""
    real = np.arange(counts.max()) < counts[:, None]
    members = np.zeros(real.shape, dtype=np.int32)
    members[real] = order
    at = np.empty(len(order), dtype=np.int32)
    at[order] = np.flatnonzero(real)
    return Groups(members, None if real.all() else real, at)
