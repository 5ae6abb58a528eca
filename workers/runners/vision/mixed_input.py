"""Inputs of texts and images as a vision-language model reads them, and a batch of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from jobs.embed import PatchGrid
from workers.runners.tokens.tokenizer import Ids
from workers.runners.vision.mrope import rotary_positions

Index = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class MixedItem:
    """One input as the model reads it."""

    ids: Ids
    """All tokens, int32."""
    images: tuple[Any, ...] = ()
    """Patches or Tiles of each image."""
    grids: tuple[PatchGrid, ...] = ()
    """Where among the tokens each image's are."""

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def kept(self) -> slice:
        """Of a multi-vector model: which tokens' vectors are returned."""
        return slice(self.length)


class Row(NamedTuple):
    """What a Qwen-VL model is given of an item."""

    ids: Ids
    images: tuple[Any, ...]
    positions: Index
    """(3, tokens): rotary positions."""


def row(item: MixedItem, start: int = 0, end: int | None = None) -> Row:
    """From token `start` up to `end`, neither of which may be within an image."""
    end = item.length if end is None else end
    positions = rotary_positions(item.length, item.grids)[:, start:end]
    return Row(item.ids[start:end], images_within(item, start, end), positions)


def images_within(item: MixedItem, start: int, end: int) -> tuple[Any, ...]:
    """Those that begin from token `start` on and before `end`."""
    placed = zip(item.images, item.grids, strict=True)
    return tuple(image for image, grid in placed if start <= grid.first < end)


class Tokens(NamedTuple):
    """A batch, padded on the right."""

    ids: Index
    """(items, width)."""
    image_index: Index
    """(items, width): how many image tokens of the batch come before an image token; -1 for a token of text."""


def tokens_of(rows: Sequence[Ids], width: int, image_token: int) -> Tokens:
    ids = np.zeros((len(rows), width), dtype=np.int32)
    marked = np.zeros(ids.shape, dtype=bool)
    for n, own in enumerate(rows):
        ids[n, : len(own)] = own
        marked[n, : len(own)] = own == image_token
    before = np.cumsum(marked).reshape(ids.shape) - 1
    return Tokens(ids, np.where(marked, before, -1).astype(np.int32))


def put_image_states(hidden: mx.array, states: mx.array, image_index: Index) -> mx.array:
    """hidden (items, width, size), with the image tokens' states, (image tokens, size), in their places."""
    rows = hidden.reshape(-1, hidden.shape[-1])
    flat = image_index.reshape(-1)
    source = np.where(flat >= 0, len(rows) + flat, np.arange(len(rows)))
    both = mx.concatenate([rows, states.astype(rows.dtype)])
    return both[mx.array(source.astype(np.int32))].reshape(hidden.shape)


def add_to_image_states(hidden: mx.array, addition: mx.array, image_index: Index) -> mx.array:
    """hidden (items, width, size), with something added to the states of image tokens: (image tokens, size)."""
    nothing = mx.zeros((1, addition.shape[-1]), dtype=addition.dtype)
    rows = mx.concatenate([nothing, addition])[mx.array(image_index + 1)]
    return hidden + rows.astype(hidden.dtype)


def positions_of(rows: Sequence[Row], width: int) -> Index:
    """(3, rows, width)."""
    found = np.zeros((3, len(rows), width), dtype=np.int32)
    for n, own in enumerate(rows):
        found[:, n, : len(own.ids)] = own.positions
    return found
