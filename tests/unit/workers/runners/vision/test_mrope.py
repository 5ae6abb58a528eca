"""Rotary positions equal mlx-vlm's get_rope_index, which a page's runner does without: it waits for the device."""

from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_vlm.models.qwen2_5_vl.language import LanguageModel

from jobs.embed import PatchGrid
from workers.runners.vision.mrope import rotary_positions

TEXT, START, IMAGE = 1, 2, 3
MODEL: Any = SimpleNamespace(
    config=SimpleNamespace(
        vision_config=SimpleNamespace(spatial_merge_size=2),
        image_token_id=IMAGE,
        video_token_id=4,
        vision_start_token_id=START,
    )
)


@pytest.mark.parametrize(
    "sizes", [[], [(5, 8)], [(8, 5)], [(1, 1)], [(2, 3), (7, 2)], [(3, 3), (1, 9), (4, 2)]]
)
def test_positions_equal_the_library_s(sizes: list[tuple[int, int]]):
    ids = [TEXT] * 3
    grids: list[PatchGrid] = []
    for number, (rows, columns) in enumerate(sizes):
        ids += [START]
        grids.append(PatchGrid(len(ids), rows, columns))
        ids += [IMAGE] * (rows * columns) + [TEXT] * number  # nothing between the first two
    ids += [TEXT] * 4

    grid = mx.array([[1, 2 * rows, 2 * columns] for rows, columns in sizes]) if sizes else None
    mask = mx.ones((1, len(ids)), dtype=mx.int32)
    expected, _ = LanguageModel.get_rope_index(MODEL, mx.array([ids]), grid, None, mask)
    expected = np.broadcast_to(np.array(expected), (3, 1, len(ids)))

    assert rotary_positions(len(ids), grids).tolist() == expected[:, 0].tolist()
