"""What the vision towers of Qwen2.5-VL and Qwen3-VL have in common, over mlx-vlm's modules.

Nothing is kept from one batch to the next: what a batch needs comes with it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from workers.runners.pages.patches import Groups, places

ROTARY_BASE = 10_000.0
"""No checkpoint names another."""

Rotation = tuple[mx.array, mx.array]
"""Cosines and sines, (patches, 1, head size)."""


class Pixels(NamedTuple):
    """How a checkpoint wants its colours, per channel, of values from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class GroupAttention:
    """Between patches of a group, all groups at once."""

    def __init__(self, groups: Groups) -> None:
        self._members = mx.array(groups.members)
        self._at = mx.array(groups.at)
        self._seen = None if groups.real is None else mx.array(groups.real[:, None, None, :])  # pyright: ignore[reportArgumentType]

    def __call__(self, layer: Any, hidden: mx.array, rotation: Rotation) -> mx.array:
        """layer: mlx-vlm's, for its weights. hidden: (patches, size)."""
        patches, size = hidden.shape
        q, k, v = layer.qkv(hidden).reshape(patches, 3, layer.num_heads, -1).transpose(1, 0, 2, 3)
        q, k = _rotated(q, *rotation), _rotated(k, *rotation)
        q, k, v = (each[self._members].transpose(0, 2, 1, 3) for each in (q, k, v))
        out = mx.fast.scaled_dot_product_attention(q, k, v, scale=layer.scale, mask=self._seen)
        return layer.proj(out.transpose(0, 2, 1, 3).reshape(-1, size)[self._at])


def embed_patches(values: NDArray[np.uint8], kernel: mx.array, pixels: Pixels) -> mx.array:
    """The patches' first states, but for a bias: (patches, outputs). kernel: (outputs, frames, patch, patch, channels).

    The kernel wants two frames; a picture is the same one twice, so that the sum of the kernel's halves does with half
    the products.
    """
    weight = kernel.astype(mx.float32).sum(axis=1).transpose(0, 3, 1, 2).reshape(kernel.shape[0], -1)
    mean, std = (
        mx.repeat(mx.array(each), values.shape[1] // len(each)) for each in (pixels.mean, pixels.std)
    )
    colours = (mx.array(values).astype(mx.float32) / 255 - mean) / std
    return (colours @ weight.T).astype(kernel.dtype)


def rotation_of(sizes: Sequence[tuple[int, int]], merge: int, head: int) -> Rotation:
    """Half of the angles tell the row, half the column. sizes: rows and columns of the blocks of all pictures.
    head: size of one head.
    """
    quarter = np.arange(0, head // 2, 2, dtype=np.float32) / (head // 2)
    at = np.concatenate([places(rows, columns, merge) for rows, columns in sizes])
    angles = (at[:, :, None] * ROTARY_BASE**-quarter).reshape(len(at), -1).astype(np.float32)
    whole = mx.array(np.concatenate([angles, angles], axis=1))[:, None]
    return mx.cos(whole), mx.sin(whole)


def _rotated(x: mx.array, cosines: mx.array, sines: mx.array) -> mx.array:
    half = x.shape[-1] // 2
    turned = mx.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return (x * cosines + turned * sines).astype(x.dtype)
