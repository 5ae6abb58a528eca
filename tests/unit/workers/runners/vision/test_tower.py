"""Attention between the patches of images, whatever else is in the batch, and on whatever device."""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn

from workers.runners.vision import tower
from workers.runners.vision.patches import whole_images
from workers.runners.vision.tower import GroupAttention, rotation_of

HEADS, HEAD = 2, 72
MIXES = (((3, 4),), ((3, 4), (4, 3)), ((1, 1), (6, 5), (2, 1), (5, 6), (5, 5)))


class Layer(nn.Module):
    """As much of mlx-vlm's as is used."""

    def __init__(self) -> None:
        super().__init__()
        mx.random.seed(4)
        self.num_heads, self.scale = HEADS, HEAD**-0.5
        self.qkv = nn.Linear(HEADS * HEAD, 3 * HEADS * HEAD)
        self.proj = nn.Linear(HEADS * HEAD, HEADS * HEAD)


def attended(layer: Any, hidden: mx.array, sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    found = GroupAttention(whole_images(sizes, 2))(layer, hidden, rotation_of(sizes, 2, HEAD))
    return np.array(found)


@pytest.mark.parametrize("sizes", MIXES)
def test_neighbours_do_not_change_what_an_image_s_patches_see(sizes: Sequence[tuple[int, int]]):
    layer = Layer()
    ends = np.cumsum([4 * rows * columns for rows, columns in sizes])
    hidden = mx.random.normal((int(ends[-1]), HEADS * HEAD))
    together = attended(layer, hidden, sizes)
    start = 0
    for end, size in zip(ends.tolist(), sizes, strict=True):
        alone = attended(layer, hidden[start:end], [size])
        np.testing.assert_allclose(together[start:end], alone, atol=1e-5)
        start = end


@pytest.mark.parametrize(
    ("size", "padded"), [(64, 64), (72, 80), (80, 80), (96, 128), (128, 128), (160, 160)]
)
def test_heads_are_filled_up_to_what_the_fused_kernel_takes(size: int, padded: int):
    assert tower.fused_size(size) == padded


@pytest.mark.parametrize("sizes", MIXES)
def test_filled_heads_see_the_same(sizes: Sequence[tuple[int, int]], monkeypatch: pytest.MonkeyPatch):
    layer = Layer()
    hidden = mx.random.normal((sum(4 * rows * columns for rows, columns in sizes), HEADS * HEAD))
    computed: list[int] = []
    plain = mx.fast.scaled_dot_product_attention

    def noted(q: mx.array, *rest: Any, **named: Any) -> mx.array:
        computed.append(q.shape[-1])
        return plain(q, *rest, **named)

    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", noted)
    expected = attended(layer, hidden, sizes)
    assert set(computed) == {HEAD}  # here no kernel wants more
    computed.clear()
    monkeypatch.setattr(tower, "on_metal", lambda: True)
    np.testing.assert_allclose(attended(layer, hidden, sizes), expected, atol=1e-6)
    assert set(computed) == {80}
