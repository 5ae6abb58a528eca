"""mlx-vlm's encoders, with attention masks and activations computed as the reference implementations do.

Why not the library's own forward pass (0.7.10):
- EmbeddingGemma: it lets every layer see the whole text, where all but each sixth layer has a window.
- ModernBERT: it uses the tanh approximation of GELU, where the model was trained with the exact one.
- All: it builds a mask even when nothing is padded.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx_vlm.models import bert, gemma3_embedding, modernbert, qwen3_embedding, xlm_roberta

# erf(x) = x·P(x²)/Q(x²) on |x| ≤ 3.8325, to 4 ulp: the rational function that Eigen and XLA use.
ERF_P = (
    2.2905065861350646e-4,
    3.4082910107109506e-3,
    5.0955695062380861e-2,
    0.18520832239976145,
    1.128379143519084,
)
ERF_Q = (
    -1.1791602954361697e-7,
    2.3547966471313185e-5,
    1.0179625278914885e-3,
    1.4070470171167667e-2,
    0.11098505178285362,
    0.49746925110067538,
    1.0,
)
ERF_BOUND = 3.832506856900711


@partial(mx.compile, shapeless=True)
def _gelu_rational(x: mx.array) -> mx.array:
    z = mx.clip(x * 0.5**0.5, -ERF_BOUND, ERF_BOUND)
    square = z * z
    p, q = mx.array(ERF_P[0], x.dtype), mx.array(ERF_Q[0], x.dtype)
    for c in ERF_P[1:]:
        p = p * square + c
    for c in ERF_Q[1:]:
        q = q * square + c
    return 0.5 * x * (1 + z * p / q)


class ExactGelu(nn.Module):
    """GELU with erf. MLX's erf takes one element at a time on a CPU: half of a small BERT's time went there."""

    def __call__(self, x: mx.array) -> mx.array:
        if x.dtype == mx.float32 and mx.default_device() == mx.Device(mx.cpu):
            return _gelu_rational(x)
        return nn.gelu(x)


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
            layer.intermediate.intermediate_act_fn = ExactGelu()

    def hidden(self, ids: mx.array, real: mx.array | None) -> mx.array:
        return self.encoder(self.embeddings(ids), key_mask(real))


class XLMRoberta(xlm_roberta.Model):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for layer in self.layers:
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
