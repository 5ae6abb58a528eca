"""Inputs of a multi-vector model, and a batch of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from jobs.types import PatchGrid
from workers.tokens import Ids

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


class Tokens(NamedTuple):
    """A batch, padded on the right. ids: (items, width). pictured: (items, width), how many picture tokens of the batch
    come before one; -1 where a token is of text.
    """

    ids: Index
    pictured: Index


def padded(items: Sequence[PageItem], width: int, image_token: int) -> Tokens:
    ids = np.zeros((len(items), width), dtype=np.int32)
    marked = np.zeros(ids.shape, dtype=bool)
    for row, item in enumerate(items):
        ids[row, : item.length] = item.ids
        marked[row, : item.length] = item.ids == image_token
    before = np.cumsum(marked).reshape(ids.shape) - 1
    return Tokens(ids, np.where(marked, before, -1).astype(np.int32))


def put_pictures(hidden: mx.array, seen: mx.array, pictured: Index) -> mx.array:
    """hidden (items, width, size), with the picture tokens' states, (picture tokens, size), in their places."""
    rows = hidden.reshape(-1, hidden.shape[-1])
    flat = pictured.reshape(-1)
    source = np.where(flat >= 0, len(rows) + flat, np.arange(len(rows)))
    both = mx.concatenate([rows, seen.astype(rows.dtype)])
    return both[mx.array(source.astype(np.int32))].reshape(hidden.shape)
