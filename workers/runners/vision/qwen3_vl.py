"""Qwen3-VL's forward pass over mlx-vlm's modules, as transformers computes it, up to the last hidden states.

Why not the library's own (0.7.10): it keeps the positions of its last input for the next one, reads the images'
positions back from the device, and lets a batch wait for what its vision tower found.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_vlm.models.qwen3_vl.config import TextConfig, VisionConfig
from mlx_vlm.models.qwen3_vl.language import Qwen3VLModel
from mlx_vlm.models.qwen3_vl.vision import VisionModel

from workers.runners.layers.text_encoders import ExactGelu
from workers.runners.vision.mixed_input import (
    Row,
    add_to_image_states,
    positions_of,
    put_image_states,
    tokens_of,
)
from workers.runners.vision.normalisation import Normalisation
from workers.runners.vision.patches import Patches, corners, distinct_images, whole_images
from workers.runners.vision.tower import GroupAttention, embed_patches, rotation_of


class Qwen3VL(nn.Module):
    """A vision tower, and a language model that reads its output and that of its middle layers (deepstack)."""

    def __init__(
        self,
        vision: VisionConfig,
        language: TextConfig,
        normalisation: Normalisation,
        image_token: int,
        rows: int = 0,
    ) -> None:
        """rows: of the head."""
        super().__init__()
        self.vision = VisionModel(vision)
        for merger in (self.vision.merger, *self.vision.deepstack_merger_list):
            merger.act_fn = ExactGelu()
        self.language = Qwen3VLModel(language)
        self.score = nn.Linear(language.hidden_size, rows, bias=False) if rows else None
        """The rows of the language model's head that were asked for, as a layer without a bias."""
        self._normalisation = normalisation
        self._image_token = image_token

    def __call__(
        self,
        rows: Sequence[Row],
        width: int,
        mask: mx.array | str = "causal",
        caches: Sequence[Any] | None = None,
    ) -> mx.array:
        """Of each token its last hidden state, (rows, width, hidden); those of padding mean nothing.

        mask: with "causal" a real token never sees padding, which is on the right. caches: of each layer, the keys and
        values of what comes before, to which the layer adds its own (mlx-vlm's interface); None where nothing does.
        """
        tokens = tokens_of([each.ids for each in rows], width, self._image_token)
        hidden = self.language.embed_tokens(mx.array(tokens.ids))
        found: list[mx.array] = []
        if images := [image for each in rows for image in each.images]:
            distinct, blocks = distinct_images(images)
            image_states, found = self._encode_images(distinct)
            if blocks is not None:
                positions = mx.array(blocks)
                image_states, found = image_states[positions], [each[positions] for each in found]
            hidden = put_image_states(hidden, image_states, tokens.image_index)
        positions = mx.array(positions_of(rows, width))
        angles = self.language.layers[0].self_attn.rotary_emb(hidden, positions)
        for index, layer in enumerate(self.language.layers):
            cache = caches[index] if caches else None
            hidden = layer(
                hidden,
                mask,  # pyright: ignore[reportArgumentType]
                cache,
                position_ids=positions,
                position_embeddings=angles,
            )
            if index < len(found):
                hidden = add_to_image_states(hidden, found[index], tokens.image_index)
        return self.language.norm(hidden)  # pyright: ignore[reportOptionalCall]

    def _encode_images(self, images: Sequence[Patches]) -> tuple[mx.array, list[mx.array]]:
        """What the vision tower makes of all images, and what it found half-way for the language model's first
        layers: (blocks, hidden) each.
        """
        tower: Any = self.vision
        merge = tower.spatial_merge_size
        sizes = [(image.rows, image.columns) for image in images]
        attention = GroupAttention(whole_images(sizes, merge))
        rotation = rotation_of(sizes, merge, tower.config.hidden_size // tower.config.num_heads)
        hidden = self._embed(images)
        found: list[mx.array] = []
        for index, block in enumerate(tower.blocks):
            hidden = hidden + attention(block.attn, block.norm1(hidden), rotation)
            hidden = hidden + block.mlp(block.norm2(hidden))
            if index in tower.deepstack_visual_indexes:
                merger = tower.deepstack_merger_list[tower.deepstack_visual_indexes.index(index)]
                found.append(merger(hidden))
        return tower.merger(hidden), found

    def _embed(self, images: Sequence[Patches]) -> mx.array:
        """The patches' first states: what they show, and where in their image they are."""
        tower: Any = self.vision
        projection = tower.patch_embed.proj
        values = np.concatenate([image.values for image in images])
        projected = embed_patches(values, projection.weight, self._normalisation) + projection.bias
        between = [
            corners(image.rows, image.columns, tower.spatial_merge_size, tower.num_grid_per_side)
            for image in images
        ]
        positions, shares = (mx.array(np.concatenate(each)) for each in zip(*between, strict=True))
        return projected + (tower.pos_embed(positions) * shares[:, :, None]).sum(axis=1).astype(
            projected.dtype
        )
