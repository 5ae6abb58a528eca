"""From a hidden state per token to one unit-length vector per text. Float32 throughout, whatever the weights are."""

import mlx.core as mx
from mlx import nn


def pool(hidden: mx.array, lengths: mx.array, mode: str) -> mx.array:
    """hidden (batch, tokens, size), padded on the right; lengths (batch,): real tokens. → (batch, size), float32."""
    if mode == "cls":
        return hidden[:, 0].astype(mx.float32)
    if mode == "lasttoken":
        last = (lengths - 1)[:, None, None]
        return mx.take_along_axis(hidden, last, axis=1)[:, 0].astype(mx.float32)
    hidden = hidden.astype(mx.float32)
    real = (mx.arange(hidden.shape[1])[None, :] < lengths[:, None])[:, :, None]
    if mode == "max":
        return mx.where(real, hidden, -mx.inf).max(axis=1)
    # where, not a product: a padding row that is not finite must not reach the sum.
    return mx.where(real, hidden, 0.0).sum(axis=1) / lengths[:, None].astype(mx.float32)


def normalise(vectors: mx.array) -> mx.array:
    """Rows scaled to length 1; a row of zeros stays one, for the caller's check to find."""
    return vectors / mx.maximum(mx.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


class Dense(nn.Module):
    """sentence-transformers' Dense: a linear layer and an activation, identity or tanh."""

    def __init__(self, in_features: int, out_features: int, bias: bool, tanh: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.tanh = tanh

    def __call__(self, vectors: mx.array) -> mx.array:
        vectors = self.linear(vectors)
        return mx.tanh(vectors) if self.tanh else vectors
