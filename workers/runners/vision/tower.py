"""What the vision towers of Qwen2.5-VL and Qwen3-VL have in common, over mlx-vlm's modules.

Nothing is kept from one batch to the next: what a batch needs comes with it.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from workers.runners.vision.normalisation import Normalisation
from workers.runners.vision.patches import Groups, GroupSet, patch_positions

ROTARY_BASE = 10_000.0
"""No checkpoint names another."""

FUSED_SIZES = (64, 80, 128)
"""Head sizes for which MLX has a fused attention on Metal: others are computed with all scores kept in memory."""

Rotation = tuple[mx.array, mx.array]
"""Cosines and sines, (patches, 1, head size)."""


class GroupAttention:
    """Between patches of a group, all groups of a set at once."""

    def __init__(self, groups: Groups) -> None:
        self._sets = [_on_device(each) for each in groups.sets]
        self._at = mx.array(groups.at)
        self._fills_heads = on_metal()

    def __call__(self, layer: Any, hidden: mx.array, rotation: Rotation) -> mx.array:
        """layer: mlx-vlm's, for its weights. hidden: (patches, size)."""
        patches, size = hidden.shape
        q, k, v = layer.qkv(hidden).reshape(patches, 3, layer.num_heads, -1).transpose(1, 0, 2, 3)
        q, k = _rotated(q, *rotation), _rotated(k, *rotation)
        head = q.shape[-1]
        if self._fills_heads and fused_size(head) != head:
            q, k, v = (mx.pad(each, [(0, 0), (0, 0), (0, fused_size(head) - head)]) for each in (q, k, v))
        found: list[mx.array] = []
        for members, mask in self._sets:
            own = (each[members].transpose(0, 2, 1, 3) for each in (q, k, v))
            out = mx.fast.scaled_dot_product_attention(*own, scale=layer.scale, mask=mask)
            found.append(out[..., :head].transpose(0, 2, 1, 3).reshape(-1, size))
        whole = found[0] if len(found) == 1 else mx.concatenate(found)
        return layer.proj(whole[self._at])


def on_metal() -> bool:
    """Whether Apple's GPU computes."""
    return mx.metal.is_available() and mx.default_device().type == mx.DeviceType.gpu


def fused_size(head: int) -> int:
    """The head size at which Metal's fused attention takes heads of this one, zeros behind; the same where none does.

    Why not the library's own ensure_fused_sdpa (0.7.10): it compiles anew for each shape, which images of all sizes
    have without end, and fills up on other devices, too.
    """
    return next((size for size in FUSED_SIZES if head <= size), head)


def _on_device(groups: GroupSet) -> tuple[mx.array, mx.array | None]:
    """Members, and the attention mask of them, for all heads and patches."""
    mask = None if groups.real is None else mx.array(groups.real[:, None, None, :])  # pyright: ignore[reportArgumentType]
    return mx.array(groups.members), mask


def embed_patches(values: NDArray[np.uint8], kernel: mx.array, normalisation: Normalisation) -> mx.array:
    """The patches' first states, but for a bias: (patches, outputs). kernel: (outputs, frames, patch, patch, channels).

    The kernel wants two frames; an image is the same one twice, so that the sum of the kernel's halves does with half
    the products.
    """
    weight = kernel.astype(mx.float32).sum(axis=1).transpose(0, 3, 1, 2).reshape(kernel.shape[0], -1)
    mean, std = (
        mx.repeat(mx.array(each), values.shape[1] // len(each))
        for each in (normalisation.mean, normalisation.std)
    )
    colours = (mx.array(values).astype(mx.float32) / 255 - mean) / std
    return (colours @ weight.T).astype(kernel.dtype)


def rotation_of(sizes: Sequence[tuple[int, int]], merge: int, head: int) -> Rotation:
    """Half of the angles tell the row, half the column. sizes: rows and columns of the blocks of all images.
    head: size of one head.
    """
    quarter = np.arange(0, head // 2, 2, dtype=np.float32) / (head // 2)
    at = np.concatenate([patch_positions(rows, columns, merge) for rows, columns in sizes])
    angles = (at[:, :, None] * ROTARY_BASE**-quarter).reshape(len(at), -1).astype(np.float32)
    whole = mx.array(np.concatenate([angles, angles], axis=1))[:, None]
    return mx.cos(whole), mx.sin(whole)


def _rotated(x: mx.array, cosines: mx.array, sines: mx.array) -> mx.array:
    half = x.shape[-1] // 2
    turned = mx.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return (x * cosines + turned * sines).astype(x.dtype)
