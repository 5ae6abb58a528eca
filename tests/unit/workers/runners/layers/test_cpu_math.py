"""The CPU's GELU, softmax and attention against their definitions, in double precision."""

import math

import mlx.core as mx
import numpy as np

from workers.runners.layers import cpu_math
from workers.runners.layers.text_encoders import ExactGelu, window_mask


def test_gelu_is_the_exact_one():
    x = np.linspace(-12, 12, 4001, dtype=np.float32)
    exact = np.array([0.5 * float(v) * (1 + math.erf(float(v) / 2**0.5)) for v in x])
    for computed in (cpu_math.gelu(mx.array(x)), ExactGelu()(mx.array(x))):
        assert np.abs(np.array(computed) - exact).max() < 2e-6


def test_softmax_is_exact_to_single_precision_whatever_the_range():
    x = np.random.default_rng(1).normal(0, 30, (50, 40)).astype(np.float32)
    x[:, 0] = np.finfo(np.float32).min
    exact = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    assert np.abs(np.array(cpu_math.softmax(mx.array(x))) - exact).max() < 1e-6


def test_attention_equals_mlx_own_with_and_without_a_mask():
    random = np.random.default_rng(2)
    q, k, v = (mx.array(random.normal(size=(2, 3, 7, 8)).astype(np.float32)) for _ in range(3))
    real = mx.array([7, 4])[:, None, None, None] > mx.arange(7)
    for mask in (None, real):
        own = mx.fast.scaled_dot_product_attention(q, k, v, scale=0.3, mask=mask)
        assert np.allclose(np.array(cpu_math.attention(q, k, v, 0.3, mask)), np.array(own), atol=1e-5)


def test_window_reaches_to_both_sides_and_padding_is_seen_by_itself_alone():
    real = mx.array([[True, True, True, True, False]])
    mask = window_mask(5, 1, real)
    assert mask is not None
    assert np.array(mask)[0, 0].astype(int).tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1],
    ]


def test_text_within_the_window_needs_no_mask():
    assert window_mask(9, 8, None) is None
    assert window_mask(10, 8, None) is not None
