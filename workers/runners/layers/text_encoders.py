"""mlx-vlm's encoders, with attention masks and activations computed as the reference implementations do.

Why not the library's own forward pass (0.7.10):
- EmbeddingGemma: it lets every layer see the whole text, where all but each sixth layer has a window.
- ModernBERT: it uses the tanh approximation of GELU, where the model was trained with the exact one.
- All: it builds a mask even when nothing is padded.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx_vlm.models import bert, gemma3_embedding, modernbert, qwen3_embedding, xlm_roberta

from workers.runners.layers import cpu_math


class ExactGelu(nn.GELU):
    """GELU with erf, not its tanh approximation."""

    def __call__(self, x: mx.array) -> mx.array:
        return cpu_math.gelu(x) if cpu_math.applies(x) else nn.gelu(x)


class _SelfAttention:
    """BERT's and XLM-RoBERTa's, with CPU kernels where they apply. Mixed into the library's classes of that name."""

    def __call__(self: Any, hidden_states: mx.array, mask: mx.array | None = None) -> mx.array:
        batch, tokens, _ = hidden_states.shape
        projections = (self.query, self.key, self.value)
        q, k, v = (self._shape(project(hidden_states), batch, tokens) for project in projections)
        if cpu_math.applies(q):
            out = cpu_math.attention(q, k, v, self.scale, mask)
        else:
            out = mx.fast.scaled_dot_product_attention(q, k, v, scale=self.scale, mask=mask)
        return out.transpose(0, 2, 1, 3).reshape(batch, tokens, self.all_head_size)


class BertSelfAttention(_SelfAttention, bert.bert.BertSelfAttention):
    pass


class XLMRobertaSelfAttention(_SelfAttention, xlm_roberta.xlm_roberta.XLMRobertaSelfAttention):
    pass


def window_mask(tokens: int, reach: int, real: mx.array | None) -> mx.array | None:
    """Which keys a query may see, where it sees `reach` tokens to each side: bool (batch or 1, 1, tokens, tokens).

    real: (batch, tokens), False at padding. None: every key. Padding sees itself, so that no row is empty (NaN).
    """
    if tokens <= reach + 1:
        return key_mask(real)
    at = mx.arange(tokens)
    distance = mx.abs(at[:, None] - at[None, :])
    window = (distance <= reach)[None, None]
    return window if real is None else (window & real[:, None, None, :]) | (distance == 0)[None, None]


def key_mask(real: mx.array | None) -> mx.array | None:
    """bool (batch, 1, 1, tokens): padding is seen by none."""
    return None if real is None else real[:, None, None, :]


class Bert(bert.Model):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for layer in self.layers:
            layer.attention.self = BertSelfAttention(config)
            layer.intermediate.intermediate_act_fn = ExactGelu()

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        return self.encoder(self.embeddings(ids), key_mask(real))


class XLMRoberta(xlm_roberta.Model):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for layer in self.layers:
            layer.attention.self = XLMRobertaSelfAttention(config)
            layer.intermediate.intermediate_act_fn = ExactGelu()

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        return self.encoder(self.embeddings(ids), key_mask(real))


class ModernBert(modernbert.Model):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for layer in self.layers:
            layer.mlp.act = ExactGelu()

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        everywhere = key_mask(real)
        nearby = window_mask(ids.shape[1], self.config.local_attention // 2, real)
        h = self.embeddings(ids)
        for layer in self.layers:
            h = layer(h, everywhere, nearby)
        return self.final_norm(h)


class Qwen3(qwen3_embedding.Model):
    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        # Causal, and padded on the right: a real token never sees padding, so the fused causal kernel will do.
        return self.model(ids)


class Gemma(gemma3_embedding.Model):
    def __init__(self, config: Any, has_dense: bool) -> None:
        super().__init__(config)
        if not has_dense:
            self.dense = []

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        everywhere = key_mask(real)
        nearby = window_mask(ids.shape[1], self.config.sliding_window // 2, real)
        h = self.model.embed_tokens(ids)
        h = h * mx.array(self.config.hidden_size**0.5, h.dtype)
        for layer in self.model.layers:
            h = layer(h, nearby if layer.self_attn.is_sliding else everywhere)
        return self.model.norm(h)

    def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Adds the prefix that google's files lack; dense layers keep the names that MLX conversions give them."""
        kept = {name: value for name, value in weights.items() if not name.startswith(("lm_head.", "head."))}
        return {
            name if name.startswith(("model.", "dense.")) else f"model.{name}": value
            for name, value in kept.items()
        }


Encoder = Bert | XLMRoberta | ModernBert | Qwen3 | Gemma


def build_encoder(config: dict[str, Any], weight_names: Sequence[str]) -> Encoder:
    """The encoder of config's model_type, weights not yet loaded. config: as library_config returns it."""
    match config["model_type"]:
        case "bert":
            return Bert(bert.ModelConfig.from_dict(config))
        case "xlm-roberta":
            return XLMRoberta(xlm_roberta.ModelConfig.from_dict(config))
        case "modernbert":
            return ModernBert(modernbert.ModelConfig.from_dict(config))
        case "qwen3":
            return Qwen3(qwen3_embedding.ModelConfig.from_dict(config))
        case "gemma3_text":
            has_dense = any(name.startswith("dense.") for name in weight_names)
            return Gemma(gemma3_embedding.ModelConfig.from_dict(config), has_dense)
        case other:
            raise ValueError(f"no encoder for model type {other!r}")
