"""GELU and softmax for CPUs in float32, to the same accuracy as MLX's own.

On a CPU MLX computes erf and exp one element at a time; sums and products it vectorises. For MiniLM (32 texts of 90
tokens, one layer: 180 ms) GELU took 94 ms and softmax 30 ms; written with sums and products they take 20 and 12 ms.
"""

from functools import partial

import mlx.core as mx

# erf(x) = x·P(x²)/Q(x²) on |x| ≤ 3.8325, to 4 ulp: the rational function that Eigen and XLA use.
ERF_BOUND = 3.832506856900711
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
# 2^f on |f| ≤ ½, to 1 ulp: the polynomial of the Cephes library's exp2f.
EXP2 = (
    1.535336188319500e-4,
    1.339887440266574e-3,
    9.618437357674640e-3,
    5.550332471162809e-2,
    2.402264791363012e-1,
    6.931472028550421e-1,
    1.0,
)
LOG2_E = 1.4426950408889634


def applies(x: mx.array) -> bool:
    return x.dtype == mx.float32 and mx.default_device() == mx.Device(mx.cpu)


@partial(mx.compile, shapeless=True)
def gelu(x: mx.array) -> mx.array:
    """x·Φ(x), exact GELU."""
    z = mx.clip(x * 0.5**0.5, -ERF_BOUND, ERF_BOUND)
    square = z * z
    return 0.5 * x * (1 + z * _polynomial(square, ERF_P) / _polynomial(square, ERF_Q))


def softmax(x: mx.array) -> mx.array:
    """Over the last axis. A difference over 87 counts as 87 (e⁻⁸⁷ ≈ 1.6e-38), so a masked key weighs nothing."""
    power = mx.maximum((x - mx.max(x, axis=-1, keepdims=True)) * LOG2_E, -126.0)
    whole = mx.round(power)
    scale = mx.view(
        mx.left_shift(whole.astype(mx.int32) + 127, 23), mx.float32
    )  # 2^whole, by its exponent bits
    exponential = scale * _polynomial(power - whole, EXP2)
    return exponential / mx.sum(exponential, axis=-1, keepdims=True)


def attention(q: mx.array, k: mx.array, v: mx.array, scale: float, mask: mx.array | None) -> mx.array:
    """softmax(q·kᵀ·scale)·v for (batch, heads, tokens, size); mask: bool, False where a key is not to be seen."""
    scores = (q * scale) @ k.transpose(0, 1, 3, 2)
    if mask is not None:
        scores = mx.where(mask, scores, mx.finfo(mx.float32).min)
    return softmax(scores) @ v


def _polynomial(x: mx.array, coefficients: tuple[float, ...]) -> mx.array:
    value = coefficients[0] * x + coefficients[1]
    for coefficient in coefficients[2:]:
        value = value * x + coefficient
    return value
