"""Images are scaled, cut and grouped as Qwen2.5-VL's own processor and vision tower do it."""

import mlx.core as mx
import numpy as np
import pytest
from mlx_vlm.models.qwen2_5_vl.config import VisionConfig
from mlx_vlm.models.qwen2_5_vl.vision import VisionModel
from mlx_vlm.models.qwen3_vl.config import VisionConfig as Qwen3VisionConfig
from mlx_vlm.models.qwen3_vl.processing_qwen3_vl import Qwen3VLImageProcessor
from mlx_vlm.models.qwen3_vl.vision import VisionModel as Qwen3VisionModel
from PIL import Image

from jobs.errors import InvalidInput
from workers.runners.vision.patches import (
    MAX_PIXELS,
    Groups,
    Patching,
    corners,
    cut_to_patches,
    fitting_size,
    patch_positions,
    whole_images,
    windows,
)

CUT = Patching(patch=14, merge=2, min_pixels=56 * 56, max_pixels=MAX_PIXELS)
SIZES = ((5, 8), (11, 3), (4, 4), (1, 1), (9, 2))


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("size", "blocks"),
    [
        ((1240, 1754), (23, 32)),  # A4 at 150 dpi
        ((1275, 1650), (24, 31)),  # Letter
        ((1920, 1080), (36, 20)),  # a slide
        ((1000, 1000), (27, 27)),
        ((60, 60), (2, 2)),
        ((20, 33), (2, 3)),  # under the least: scaled up
    ],
)
def test_page_has_as_many_blocks_as_the_model_was_trained_with(
    size: tuple[int, int], blocks: tuple[int, int]
):
    assert fitting_size(*size, CUT) == (blocks[0] * 28, blocks[1] * 28)


def test_image_is_never_over_the_limit_nor_under_the_least():
    random = np.random.default_rng(5)
    for width, height in random.integers(1, 6000, (300, 2)):
        if max(width, height) <= 200 * min(width, height):
            across, down = fitting_size(int(width), int(height), CUT)
            assert across % 28 == down % 28 == 0
            assert CUT.min_pixels <= across * down <= CUT.max_pixels


def test_stripe_is_refused():
    with pytest.raises(InvalidInput, match="narrow"):
        fitting_size(2010, 10, CUT)


@pytest.mark.parametrize("size", [(112, 84), (300, 200), (31, 90)])
def test_patches_are_those_of_the_library_s_processor(size: tuple[int, int]):
    image = noise(*size)
    found = cut_to_patches(image, CUT)
    processor = Qwen3VLImageProcessor(
        patch_size=14, max_pixels=MAX_PIXELS, image_mean=[0.0] * 3, image_std=[1.0] * 3
    )
    expected = processor([image])
    assert expected["image_grid_thw"].tolist() == [[1, 2 * found.rows, 2 * found.columns]]
    frames = expected["pixel_values"].reshape(len(found.values), 3, 2, 14 * 14)
    for frame in (0, 1):
        ours = found.values.reshape(-1, 3, 14 * 14) / 255
        np.testing.assert_allclose(ours, frames[:, :, frame], atol=1e-6)


def test_windows_are_those_of_the_library_s_vision_tower():
    config = VisionConfig(
        depth=0, hidden_size=8, out_hidden_size=8, num_heads=1, window_size=112, model_type="qwen2_5_vl"
    )
    tower = VisionModel(config)
    grids = np.array([[1, 2 * rows, 2 * columns] for rows, columns in SIZES])
    blocks, edges = tower.get_window_index(mx.array(grids))
    order = (np.array(blocks)[:, None] * 4 + np.arange(4)).reshape(-1)
    expected = [part.tolist() for part in np.split(order, np.array(edges)[1:-1]) if len(part)]

    found = windows(SIZES, merge=2, side=4)
    assert members(found) == expected
    assert placed(found) == list(range(len(order)))


def test_patch_positions_are_those_of_the_library_s_vision_tower():
    config = VisionConfig(depth=0, hidden_size=16, out_hidden_size=8, num_heads=1, model_type="qwen2_5_vl")
    tower = VisionModel(config)
    found = tower.rot_pos_emb(mx.array([[1, 2 * rows, 2 * columns] for rows, columns in SIZES]))
    at = np.concatenate([patch_positions(rows, columns, 2) for rows, columns in SIZES])
    rates = 10_000.0 ** -(np.arange(0, 8, 2) / 8)
    np.testing.assert_allclose(np.array(found), (at[:, :, None] * rates).reshape(len(at), -1), rtol=1e-5)


def members(groups: Groups) -> list[list[int]]:
    """The patches of each group, set by set."""
    found: list[list[int]] = []
    for each in groups.sets:
        real = np.ones_like(each.members, dtype=bool) if each.real is None else each.real
        found += [row[kept].tolist() for row, kept in zip(each.members, real, strict=True)]
    return found


def placed(groups: Groups) -> list[int]:
    """The patch that is found where each is said to be."""
    return np.concatenate([each.members.reshape(-1) for each in groups.sets])[groups.at].tolist()


def scores(groups: Groups) -> int:
    """How many attention computes for a head."""
    return sum(each.members.shape[0] * each.members.shape[1] ** 2 for each in groups.sets)


def test_images_do_not_see_each_other():
    groups = whole_images([(1, 5), (2, 3)], merge=2)
    [only] = groups.sets
    assert only.real is not None
    assert only.real.sum(axis=1).tolist() == [20, 24]
    assert members(groups) == [list(range(20)), list(range(20, 44))]


def test_groups_of_one_size_need_no_mask():
    for groups in (whole_images([(2, 3), (3, 2)], merge=2), windows([(4, 8)], merge=2, side=4)):
        [only] = groups.sets
        assert only.real is None


def test_small_images_are_not_filled_up_to_a_large_one_s_size():
    small, large = (2, 2), (45, 40)
    groups = whole_images([*[small] * 4, large, *[small] * 5], merge=2)
    assert scores(groups) == (1800 * 4) ** 2 + 9 * (4 * 4) ** 2
    assert all(each.real is None for each in groups.sets)
    assert placed(groups) == list(range(1836 * 4))


def test_images_of_like_size_stay_together_in_their_order():
    sizes = [(8, 9), (10, 10), (7, 10), (9, 9)]
    groups = whole_images(sizes, merge=2)
    assert len(groups.sets) == 1
    assert [len(each) for each in members(groups)] == [4 * rows * columns for rows, columns in sizes]
    assert len(whole_images([*sizes, (6, 10)], merge=2).sets) == 2


def test_images_of_any_sizes_are_filled_up_by_little():
    random = np.random.default_rng(7)
    for count in (1, 2, 7, 30):
        sizes = [(int(rows), int(columns)) for rows, columns in random.integers(1, 30, (count, 2))]
        groups = whole_images(sizes, merge=2)
        patches = [4 * rows * columns for rows, columns in sizes]
        starts = np.cumsum(patches) - patches
        images = [list(range(start, start + n)) for start, n in zip(starts, patches, strict=True)]
        assert sorted(members(groups)) == images
        assert placed(groups) == list(range(sum(patches)))
        assert scores(groups) <= 2.1 * sum(n * n for n in patches)


def test_side_under_half_a_block_may_count_as_one():
    """As qwen_vl_utils counts; transformers counts none, and then scales the other side, too."""
    cut = Patching(16, 2, 4 * 32 * 32, 1800 * 32 * 32, whole_blocks=True)
    assert fitting_size(12, 640, cut) == (32, 640)
    assert fitting_size(640, 12, cut) == (640, 32)
    assert fitting_size(12, 640, cut._replace(whole_blocks=False)) == (32, 480)


@pytest.mark.parametrize("side", [6, 48])
def test_learned_positions_are_shared_out_as_in_the_library(side: int):
    config = Qwen3VisionConfig(hidden_size=8, num_heads=2, depth=0, num_position_embeddings=side**2)
    tower = Qwen3VisionModel(config)
    for rows, columns in (*SIZES, (30, 40)):
        expected = tower.fast_pos_embed_interpolate(mx.array([[1, 2 * rows, 2 * columns]]))
        found, shares = corners(rows, columns, 2, side)
        assert (found.dtype, shares.dtype) == (np.int32, np.float32)
        between = (tower.pos_embed(mx.array(found)) * mx.array(shares)[:, :, None]).sum(axis=1)
        np.testing.assert_allclose(np.array(between), np.array(expected), atol=2e-5)
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
