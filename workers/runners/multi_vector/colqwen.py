"""ColQwen2.5's forward pass over mlx-vlm's modules, as colpali_engine computes it.

Why not the library's own (0.7.10): it gives images the positions of a text, lets no batch hold images of different
sizes, and hands out vectors of padding. Its modules keep no state here: what a batch needs comes with the batch.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_vlm.models.qwen2_5_vl.config import TextConfig, VisionConfig
from mlx_vlm.models.qwen2_5_vl.language import Qwen2Model
from mlx_vlm.models.qwen2_5_vl.vision import VisionModel

from workers.runners.layers.vectors import normalise
from workers.runners.vision.mixed_input import MixedItem, positions_of, put_image_states, row, tokens_of
from workers.runners.vision.normalisation import Normalisation
from workers.runners.vision.patches import Patches, whole_images, windows
from workers.runners.vision.tower import GroupAttention, embed_patches, rotation_of


class ColQwen(nn.Module):
    """A vision tower, a language model that reads what it saw, and a projection of each token's state."""

    def __init__(
        self,
        vision: VisionConfig,
        language: TextConfig,
        dimensions: int,
        normalisation: Normalisation,
        image_token: int,
    ) -> None:
        super().__init__()
        self.vision = VisionModel(vision)
        self.language = Qwen2Model(language)
        self.projection = nn.Linear(language.hidden_size, dimensions)
        self.dimensions = dimensions
        self._normalisation = normalisation
        self._image_token = image_token

    def __call__(self, items: Sequence[MixedItem], width: int) -> mx.array:
        """As workers.runners.multi_vector.model.Network does."""
        rows = [row(item) for item in items]
        tokens = tokens_of([each.ids for each in rows], width, self._image_token)
        ids = mx.array(tokens.ids)
        hidden = self.language.embed_tokens(ids)
        images = [image for each in rows for image in each.images]
        if images:
            hidden = put_image_states(hidden, self._encode_images(images), tokens.image_index)
        # Causal, and padded on the right: a real token never sees padding.
        hidden = self.language(
            ids,
            inputs_embeds=hidden,
            mask="causal",  # pyright: ignore[reportArgumentType]
            position_ids=mx.array(positions_of(rows, width)),
        )
        return normalise(self.projection(hidden).astype(mx.float32))

    def _encode_images(self, images: Sequence[Patches]) -> mx.array:
        """What the vision tower makes of all images: (blocks, hidden size)."""
        tower: Any = self.vision
        merge = tower.spatial_merge_size
        sizes = [(image.rows, image.columns) for image in images]
        nearby = GroupAttention(windows(sizes, merge, tower.window_size // merge // tower.patch_size))
        everywhere = GroupAttention(whole_images(sizes, merge))
        rotation = rotation_of(sizes, merge, tower.config.hidden_size // tower.config.num_heads)
        values = np.concatenate([image.values for image in images])
        hidden = embed_patches(values, tower.patch_embed.proj.weight, self._normalisation)
        for index, block in enumerate(tower.blocks):
            attention = everywhere if index in tower.fullatt_block_indexes else nearby
            hidden = hidden + attention(block.attn, block.norm1(hidden), rotation)
            hidden = hidden + block.mlp(block.norm2(hidden))
        return tower.merger(hidden)
