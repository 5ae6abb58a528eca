"""Images cut into the patches that Qwen2.5-VL and Qwen3-VL read, and where each belongs. NumPy and Pillow alone.

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
"""Most pixels in ColQwen2.5's training. Some checkpoints lost the limit, and would read 3000 tokens of an A4 page."""

MAX_ASPECT = 200
"""Of the longer side to the shorter one: Qwen2.5-VL's own limit."""

LIKE_SIZE = 0.7
"""A set's groups have at least this share of its largest one's patches, so padding at most about doubles the scores."""

Index = NDArray[np.int32]


class Patching(NamedTuple):
    """How images are scaled and cut into patches."""

    patch: int
    """Pixels of a patch's side."""
    merge: int
    """Patches of a block's side."""
    min_pixels: int
    """Fewest pixels of a scaled image."""
    max_pixels: int
    """Most pixels of a scaled image."""
    whole_blocks: bool = False
    """Whether a side shorter than half a block counts as one block (qwen_vl_utils) or as none (transformers)."""

    @property
    def block(self) -> int:
        """Pixels of a block's side."""
        return self.patch * self.merge


class Patches(NamedTuple):
    """An image cut into patches."""

    values: NDArray[np.uint8]
    """uint8 (patches, channels * patch * patch)."""
    rows: int
    """Rows of blocks."""
    columns: int
    """Columns of blocks."""


class GroupSet(NamedTuple):
    """Groups of similar size, padded to one width."""

    members: Index
    """(groups, width): indices of patches; any where `real` is False."""
    real: NDArray[np.bool_] | None
    """(groups, width): False at padding; None where there is none."""


class Groups(NamedTuple):
    """Groups of patches that attend to each other."""

    sets: tuple[GroupSet, ...]
    at: Index
    """(patches,): where each patch is among the members of all sets, one set after the other."""


def cut_to_patches(image: Image.Image, patching: Patching) -> Patches:
    """An RGB image, scaled to whole blocks within the pixels allowed. Raises InvalidInput."""
    width, height = fitting_size(*image.size, patching)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    rows, columns, merge, patch = (
        height // patching.block,
        width // patching.block,
        patching.merge,
        patching.patch,
    )
    pixels = np.asarray(image, dtype=np.uint8).reshape(rows, merge, patch, columns, merge, patch, 3)
    blocks = pixels.transpose(0, 3, 1, 4, 6, 2, 5)
    return Patches(blocks.reshape(rows * columns * merge * merge, 3 * patch * patch), rows, columns)


def fitting_size(width: int, height: int, patching: Patching) -> tuple[int, int]:
    """The nearest whole blocks, the proportions kept as far as they can be (transformers' smart_resize)."""
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InvalidInput(
            f"An image of {width} * {height} pixels is too narrow: the model reads up to {MAX_ASPECT} to 1.",
            param="input",
        )
    block = patching.block
    least = block if patching.whole_blocks else 0
    across, down = (max(least, round(side / block) * block) for side in (width, height))
    if across * down > patching.max_pixels:
        shrink = math.sqrt(width * height / patching.max_pixels)
        across = max(block, math.floor(width / shrink / block) * block)
        down = max(block, math.floor(height / shrink / block) * block)
    elif across * down < patching.min_pixels:
        grow = math.sqrt(patching.min_pixels / (width * height))
        across = math.ceil(width * grow / block) * block
        down = math.ceil(height * grow / block) * block
    return across, down


def patch_positions(rows: int, columns: int, merge: int) -> Index:
    """Row and column of each of an image's patches: (patches, 2)."""
    at = np.indices((rows, merge, columns, merge), dtype=np.int32)
    down, across = at[0] * merge + at[1], at[2] * merge + at[3]
    return np.stack([each.transpose(0, 2, 1, 3).reshape(-1) for each in (down, across)], axis=1)


def corners(rows: int, columns: int, merge: int, side: int) -> tuple[Index, NDArray[np.float32]]:
    """Which four of the side * side learned positions each patch of an image lies between, and what share it has of
    each: (patches, 4) twice. The learned ones are spread over the image from edge to edge.
    """
    lengths = np.array([rows, columns]) * merge
    exact = patch_positions(rows, columns, merge) * ((side - 1) / np.maximum(lengths - 1, 1))
    low = np.floor(exact).astype(np.int32)
    ends = np.stack([low, np.minimum(low + 1, side - 1)], axis=2)  # (patches, down and across, two)
    shares = np.stack([1 - (exact - low), exact - low], axis=2).astype(np.float32)
    found = ends[:, 0, :, None] * side + ends[:, 1, None, :]
    product = shares[:, 0, :, None] * shares[:, 1, None, :]
    return found.reshape(-1, 4).astype(np.int32), product.reshape(-1, 4)


def distinct_images(images: Sequence[Patches]) -> tuple[list[Patches], Index | None]:
    """Every image once, by identity, and which of their blocks those of all are; None where none is repeated."""
    distinct = {id(image): image for image in images}
    if len(distinct) == len(images):
        return list(images), None
    blocks: dict[int, Index] = {}
    count = 0
    for key, image in distinct.items():
        end = count + image.rows * image.columns
        blocks[key] = np.arange(count, end, dtype=np.int32)
        count = end
    return list(distinct.values()), np.concatenate([blocks[id(image)] for image in images])


def whole_images(sizes: Sequence[tuple[int, int]], merge: int) -> Groups:
    """Each patch sees its image. sizes: rows and columns of the blocks of all images."""
    counts = np.array([rows * columns * merge * merge for rows, columns in sizes])
    return _grouped(np.arange(counts.sum(), dtype=np.int32), counts, _set_of(counts))


def windows(sizes: Sequence[tuple[int, int]], merge: int, side: int) -> Groups:
    """Each patch sees its window of side * side blocks, cut off at the image's right and lower edge. Windows are
    small: all are one set.
    """
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
    every = np.concatenate(counts)
    return _grouped(np.concatenate(orders), every, np.zeros_like(every))


def _set_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which set each group is of. counts: how many patches each has."""
    found = np.empty_like(counts)
    index, largest = -1, np.inf
    for group in np.argsort(-counts, kind="stable"):
        if counts[group] < LIKE_SIZE * largest:
            index, largest = index + 1, counts[group]
        found[group] = index
    return found


def _grouped(order: Index, counts: NDArray[np.int64], set_of: NDArray[np.int64]) -> Groups:
    """order: the patches of the first group, then those of the second, … counts: how many each has. set_of: the index
    of each one's set.
    """
    sets: list[GroupSet] = []
    at = np.empty(len(order), dtype=np.int32)
    set_of_patch = np.repeat(set_of, counts)
    before = 0
    for index in range(set_of.max() + 1):
        widths = counts[set_of == index]
        real = np.arange(widths.max()) < widths[:, None]
        members = np.zeros(real.shape, dtype=np.int32)
        members[real] = order[set_of_patch == index]
        at[members[real]] = before + np.flatnonzero(real)
        sets.append(GroupSet(members, None if real.all() else real))
        before += real.size
    return Groups(tuple(sets), at)
