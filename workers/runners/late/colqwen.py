"""ColQwen2.5's forward pass over mlx-vlm's modules, as colpali_engine computes it.

Why not the library's own (0.7.10): it gives pictures the positions of a text, lets no batch hold pages of different
sizes, and hands out vectors of padding. Its modules keep no state here: what a batch needs comes with the batch.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_vlm.models.qwen2_5_vl.config import TextConfig, VisionConfig
from mlx_vlm.models.qwen2_5_vl.language import Qwen2Model
from mlx_vlm.models.qwen2_5_vl.vision import VisionModel
from numpy.typing import NDArray

from workers.runners.embed.pooling import normalise
from workers.runners.pages.items import Index, PageItem, padded, put_pictures
from workers.runners.pages.patches import Groups, Patches, places, whole_pictures, windows
from workers.runners.pages.positions import rotary_positions

ROTARY_BASE = 10_000.0
"""Of the vision tower; no checkpoint names another."""


class Pixels(NamedTuple):
    """How a checkpoint wants its colours, per channel, of values from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class ColQwen(nn.Module):
    """A vision tower, a language model that reads what it saw, and a projection of each token's state."""

    def __init__(
        self, vision: VisionConfig, language: TextConfig, dimensions: int, pixels: Pixels, image_token: int
    ) -> None:
        super().__init__()
        self.vision = VisionModel(vision)
        self.language = Qwen2Model(language)
        self.projection = nn.Linear(language.hidden_size, dimensions)
        self.dimensions = dimensions
        self._pixels = pixels
        self._image_token = image_token

    def __call__(self, items: Sequence[PageItem], width: int) -> mx.array:
        """As workers.runners.late.model.Network does."""
        tokens = padded(items, width, self._image_token)
        ids = mx.array(tokens.ids)
        hidden = self.language.embed_tokens(ids)
        pictures = [picture for item in items for picture in item.pictures]
        if pictures:
            hidden = put_pictures(hidden, self._see(pictures), tokens.pictured)
        # Causal, and padded on the right: a real token never sees padding.
        hidden = self.language(
            ids,
            inputs_embeds=hidden,
            mask="causal",  # pyright: ignore[reportArgumentType]
            position_ids=mx.array(_positions(items, width)),
        )
        return normalise(self.projection(hidden).astype(mx.float32))

    def _see(self, pictures: Sequence[Patches]) -> mx.array:
        """What the vision tower makes of all pictures: (blocks, hidden size)."""
        tower: Any = self.vision
        merge = tower.spatial_merge_size
        sizes = [(picture.rows, picture.columns) for picture in pictures]
        nearby = _Attention(windows(sizes, merge, tower.window_size // merge // tower.patch_size))
        everywhere = _Attention(whole_pictures(sizes, merge))
        rotation = self._rotation(sizes)
        hidden = self._embed(np.concatenate([picture.values for picture in pictures]))
        for number, block in enumerate(tower.blocks):
            attention = everywhere if number in tower.fullatt_block_indexes else nearby
            hidden = hidden + attention(block.attn, block.norm1(hidden), rotation)
            hidden = hidden + block.mlp(block.norm2(hidden))
        return tower.merger(hidden)

    def _embed(self, values: NDArray[np.uint8]) -> mx.array:
        """The patches' first states. The kernel wants two frames; a picture is the same one twice, so that the sum of
        the kernel's halves does with half the products.
        """
        kernel = self.vision.patch_embed.proj.weight  # (outputs, frames, patch, patch, channels)
        weight = kernel.astype(mx.float32).sum(axis=1).transpose(0, 3, 1, 2).reshape(kernel.shape[0], -1)
        mean, std = (
            mx.repeat(mx.array(each), values.shape[1] // len(each))
            for each in (self._pixels.mean, self._pixels.std)
        )
        pixels = (mx.array(values).astype(mx.float32) / 255 - mean) / std
        return (pixels @ weight.T).astype(kernel.dtype)

    def _rotation(self, sizes: Sequence[tuple[int, int]]) -> tuple[mx.array, mx.array]:
        """Cosines and sines, (patches, 1, head size): half of the angles tell the row, half the column."""
        head = self.vision.config.hidden_size // self.vision.config.num_heads
        quarter = np.arange(0, head // 2, 2, dtype=np.float32) / (head // 2)
        at = np.concatenate(
            [places(rows, columns, self.vision.spatial_merge_size) for rows, columns in sizes]
        )
        angles = (at[:, :, None] * ROTARY_BASE**-quarter).reshape(len(at), -1).astype(np.float32)
        whole = mx.array(np.concatenate([angles, angles], axis=1))[:, None]
        return mx.cos(whole), mx.sin(whole)


class _Attention:
    """Between patches of a group, all groups at once."""

    def __init__(self, groups: Groups) -> None:
        self._members = mx.array(groups.members)
        self._at = mx.array(groups.at)
        self._seen = None if groups.real is None else mx.array(groups.real[:, None, None, :])  # pyright: ignore[reportArgumentType]

    def __call__(self, layer: Any, hidden: mx.array, rotation: tuple[mx.array, mx.array]) -> mx.array:
        """layer: mlx-vlm's, for its weights. hidden: (patches, size)."""
        patches, size = hidden.shape
        q, k, v = layer.qkv(hidden).reshape(patches, 3, layer.num_heads, -1).transpose(1, 0, 2, 3)
        q, k = _rotated(q, *rotation), _rotated(k, *rotation)
        q, k, v = (each[self._members].transpose(0, 2, 1, 3) for each in (q, k, v))
        out = mx.fast.scaled_dot_product_attention(q, k, v, scale=layer.scale, mask=self._seen)
        return layer.proj(out.transpose(0, 2, 1, 3).reshape(-1, size)[self._at])


def _positions(items: Sequence[PageItem], width: int) -> Index:
    """(3, items, width)."""
    found = np.zeros((3, len(items), width), dtype=np.int32)
    for row, item in enumerate(items):
        found[:, row, : item.length] = rotary_positions(item.length, item.grids)
    return found


def _rotated(x: mx.array, cosines: mx.array, sines: mx.array) -> mx.array:
    half = x.shape[-1] // 2
    turned = mx.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return (x * cosines + turned * sines).astype(x.dtype)
