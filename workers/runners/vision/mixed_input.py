"""Inputs of a model that looks at pages, and a batch of them."""

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
class PageItem:
    """One input as the model reads it. ids: all tokens, int32. pictures: as its family has them cut up. grids: where
    among the tokens the pictures' are.
    """

    ids: Ids
    pictures: tuple[Any, ...] = ()
    grids: tuple[PatchGrid, ...] = ()

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def kept(self) -> slice:
        """Of a multi-vector model: whose vectors are handed out."""
        return slice(self.length)


class Row(NamedTuple):
    """What a Qwen-VL model is given of an item. positions: (3, tokens), rotary."""

    ids: Ids
    pictures: tuple[Any, ...]
    positions: Index


def row(item: PageItem, start: int = 0, end: int | None = None) -> Row:
    """From token `start` up to `end`, neither of which may be within a picture."""
    end = item.length if end is None else end
    positions = rotary_positions(item.length, item.grids)[:, start:end]
    return Row(item.ids[start:end], pictures_within(item, start, end), positions)


def pictures_within(item: PageItem, start: int, end: int) -> tuple[Any, ...]:
    """Those that begin from token `start` on and before `end`."""
    shown = zip(item.pictures, item.grids, strict=True)
    return tuple(picture for picture, grid in shown if start <= grid.first < end)


class Tokens(NamedTuple):
    """A batch, padded on the right. ids: (items, width). pictured: (items, width), how many picture tokens of the batch
    come before one; -1 where a token is of text.
    """

    ids: Index
    pictured: Index


def tokens_of(rows: Sequence[Ids], width: int, image_token: int) -> Tokens:
    ids = np.zeros((len(rows), width), dtype=np.int32)
    marked = np.zeros(ids.shape, dtype=bool)
    for n, own in enumerate(rows):
        ids[n, : len(own)] = own
        marked[n, : len(own)] = own == image_token
    before = np.cumsum(marked).reshape(ids.shape) - 1
    return Tokens(ids, np.where(marked, before, -1).astype(np.int32))


def put_pictures(hidden: mx.array, seen: mx.array, pictured: Index) -> mx.array:
    """hidden (items, width, size), with the picture tokens' states, (picture tokens, size), in their places."""
    rows = hidden.reshape(-1, hidden.shape[-1])
    flat = pictured.reshape(-1)
    source = np.where(flat >= 0, len(rows) + flat, np.arange(len(rows)))
    both = mx.concatenate([rows, seen.astype(rows.dtype)])
    return both[mx.array(source.astype(np.int32))].reshape(hidden.shape)


def add_to_pictures(hidden: mx.array, found: mx.array, pictured: Index) -> mx.array:
    """hidden (items, width, size), with something added to the states of picture tokens: (picture tokens, size)."""
    nothing = mx.zeros((1, found.shape[-1]), dtype=found.dtype)
    rows = mx.concatenate([nothing, found])[mx.array(pictured + 1)]
    return hidden + rows.astype(hidden.dtype)


def positions_of(rows: Sequence[Row], width: int) -> Index:
    """(3, rows, width)."""
    found = np.zeros((3, len(rows), width), dtype=np.int32)
    for n, own in enumerate(rows):
        found[:, n, : len(own.ids)] = own.positions
    return found
