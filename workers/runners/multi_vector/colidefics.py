"""ColIdefics3's forward pass (ColSmol) over mlx-vlm's modules, as colpali_engine computes it.

Why not the library's own (0.7.10): it waits for the device to find out where images are, hands out vectors of
padding, and normalises what the vision tower saw with another epsilon.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_vlm.models.idefics3.config import ModelConfig
from mlx_vlm.models.idefics3.idefics3 import Idefics3Connector
from mlx_vlm.models.idefics3.language import LanguageModel
from mlx_vlm.models.idefics3.vision import VisionModel

from workers.runners.layers.vectors import normalise
from workers.runners.vision.mixed_input import Index, MixedItem, put_image_states, tokens_of
from workers.runners.vision.normalisation import Normalisation


class ColIdefics(nn.Module):
    """A vision tower, what joins its patches, a language model that reads them, and a projection of each state."""

    def __init__(self, config: ModelConfig, dimensions: int, normalisation: Normalisation) -> None:
        super().__init__()
        vision = config.vision_config
        self.vision = VisionModel(vision)
        self.vision.post_layernorm = nn.LayerNorm(vision.hidden_size, eps=vision.layer_norm_eps)
        self.connector = Idefics3Connector(config)
        self.language = LanguageModel(config.text_config)
        self.language.lm_head = None  # pyright: ignore[reportAttributeAccessIssue]
        self.projection = nn.Linear(config.text_config.hidden_size, dimensions)
        self.dimensions = dimensions
        self._image_token = config.image_token_id
        self._normalisation = normalisation

    def __call__(self, items: Sequence[MixedItem], width: int) -> mx.array:
        """As workers.runners.multi_vector.model.Network does."""
        tokens = tokens_of([item.ids for item in items], width, self._image_token)
        hidden = self.language.embed_tokens(mx.array(tokens.ids))
        tiles = [image.values for item in items for image in item.images]
        if tiles:
            hidden = put_image_states(
                hidden, self._encode_tiles(mx.array(np.concatenate(tiles))), tokens.image_index
            )
        for layer in self.language.layers:
            # Causal, and padded on the right: a real token never sees padding.
            hidden = layer(hidden, "causal")  # pyright: ignore[reportArgumentType]
        return normalise(self.projection(self.language.norm(hidden)).astype(mx.float32))

    def _encode_tiles(self, tiles: mx.array) -> mx.array:
        """What the vision tower makes of all tiles, uint8 (tiles, side, side, channels): (image tokens, size)."""
        tower: Any = self.vision
        embeddings = tower.embeddings
        colours = (tiles.astype(mx.float32) / 255 - mx.array(self._normalisation.mean)) / mx.array(
            self._normalisation.std
        )
        patches = embeddings.patch_embedding(colours.astype(embeddings.patch_embedding.weight.dtype))
        positions = _patch_positions(patches.shape[1], embeddings.num_patches_per_side)
        hidden = patches.flatten(1, 2) + embeddings.position_embedding(mx.array(positions))
        for layer in tower.encoder.layers:
            hidden = layer(hidden)
        states = self.connector(tower.post_layernorm(hidden))
        return states.reshape(-1, states.shape[-1])


def _patch_positions(side: int, positions: int) -> Index:
    """Which of the tower's positions each patch of a tile has. Idefics3 counts in shares of the side, so that tiles of
    any size have the same; its rounding is part of what the model learnt.
    """
    edges = (1 / positions + np.arange(positions - 1) * (1 / positions)).astype(np.float32)
    shares = np.minimum(np.arange(side, dtype=np.float32) * np.float32(1 / side), np.float32(1 - 1e-6))
    steps = np.searchsorted(edges, shares, side="right").astype(np.int32)
    return (steps[:, None] * positions + steps).reshape(-1)
