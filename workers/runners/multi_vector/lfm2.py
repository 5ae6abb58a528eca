"""LFM2-ColBERT's forward pass over mlx-vlm's modules, as PyLate computes a text alone.

Why not the library's own (0.7.10): it takes every LFM2 with a projection for one that reads both ways, lets the padding
of a batch into the convolutions, and cannot mask a query's filling.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx_vlm.models.lfm2.config import ModelConfig
from mlx_vlm.models.lfm2.language import Lfm2Model

from workers.runners.layers.vectors import Dense, normalise
from workers.runners.multi_vector.text_prompts import TextItem
from workers.runners.tokens.tokenizer import padded


class ColLfm2(nn.Module):
    """A language model of short convolutions and attention, and a projection of each token's state."""

    def __init__(self, config: ModelConfig, dense: list[Dense], dimensions: int, *, both_ways: bool) -> None:
        """both_ways: whether a token sees those after it, too (LFM2.5-ColBERT); LFM2-ColBERT reads left to right."""
        super().__init__()
        self.language = Lfm2Model(config)
        self.dense = dense
        self.dimensions = dimensions
        self._both_ways = both_ways

    def __call__(self, items: Sequence[TextItem], width: int) -> mx.array:
        """As workers.runners.multi_vector.model.Network does."""
        lengths = np.array([item.length for item in items])
        attended = np.array([item.attended for item in items])
        hidden = self.language.embed_tokens(mx.array(padded([item.ids for item in items], width)))
        mask = self._mask(attended, lengths, width)
        real = None if lengths.min() == width else _before(lengths, width)
        for layer in self.language.layers:
            hidden = self._layer(layer, hidden, mask, real)
        hidden = self.language.embedding_norm(hidden)
        for dense in self.dense:
            hidden = dense(hidden)
        return normalise(hidden.astype(mx.float32))

    def _layer(self, layer: Any, hidden: mx.array, mask: Any, real: mx.array | None) -> mx.array:
        state = layer.operator_norm(hidden)
        if layer.is_attention_layer:
            mixed = layer.self_attn(state, mask=mask)
        else:
            mixed = self._convolved(layer.conv, state, real)
        hidden = hidden + mixed
        return hidden + layer.feed_forward(layer.ffn_norm(hidden))

    def _mask(self, attended: np.ndarray, lengths: np.ndarray, width: int) -> mx.array | str | None:
        """Which tokens each one attends to. None attends to a query's filling, where the model masks it. Every text has
        other tokens, so no row is empty (NaN).
        """
        if self._both_ways:
            return None if attended.min() == width else _before(attended, width)[:, None, None, :]
        if (attended == lengths).all():
            return "causal"  # padding is behind all that is real
        at = mx.arange(width)
        return (at[:, None] >= at[None, :])[None, None] & _before(attended, width)[:, None, None, :]

    def _convolved(self, layer: Any, hidden: mx.array, real: mx.array | None) -> mx.array:
        """layer: mlx-vlm's, for its weights. A query's filling takes part: only attention leaves it out."""
        gate, after, values = mx.split(layer.in_proj(hidden), 3, axis=-1)
        values = gate * values
        if real is not None:
            values = mx.where(real[..., None], values, 0)
        back = layer.L_cache // 2 if self._both_ways else layer.L_cache - 1
        values = mx.pad(values, [(0, 0), (back, layer.L_cache - 1 - back), (0, 0)])
        return layer.out_proj(after * layer.conv(values))


def _before(ends: np.ndarray, width: int) -> mx.array:
    """bool (items, width): which tokens come before each item's end."""
    return mx.arange(width) < mx.array(ends)[:, None]
