"""One unit-length vector for each input: pooled from its hidden states, checked, cut to the size that was asked for.

Pooling is in float32, whatever the weights are.
"""

from collections.abc import Sequence

import mlx.core as mx
import numpy as np
from mlx import nn
from numpy.typing import NDArray

from jobs.embed import EmbedResult
from jobs.errors import InternalError, JobError

Vector = NDArray[np.float32]

MAX_NORM_ERROR = 1e-3


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


def checked(vectors: Vector) -> list[Vector | JobError]:
    """The rows of (items, dimensions), an error instead of each that is not of length 1."""
    norms = np.linalg.norm(vectors, axis=1)
    outcomes: list[Vector | JobError] = list(vectors)
    for index in np.flatnonzero(~(np.abs(norms - 1) <= MAX_NORM_ERROR)):  # NaN compares false
        outcomes[index] = InternalError(
            f"The model made a vector of length {norms[index]:.3g}; it must be 1."
        )
    return outcomes


def result_of(found: Sequence[Vector], dimensions: int | None, tokens: tuple[int, ...]) -> EmbedResult:
    """Cut to the dimensions and renormalised. Raises InternalError."""
    vectors = np.stack(found)
    if dimensions is not None and dimensions < vectors.shape[1]:
        vectors = vectors[:, :dimensions]
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not norms.all():
            raise InternalError("A vector is zero in its first dimensions.")
        vectors = vectors / norms
    return EmbedResult(
        dimensions=vectors.shape[1],
        vectors=np.ascontiguousarray(vectors, dtype="<f4").tobytes(),
        tokens=tokens,
    )
