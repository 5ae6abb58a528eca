"""Tiles are means of patches that are neighbours on the page."""

import numpy as np
import pytest

from ingest.collections.tiles import regions, tiles
from jobs.embed import PatchGrid


def image(rows: int, columns: int) -> np.ndarray:
    """A page whose left half points to one side and whose right half to another, but for its lowest row of patches."""
    page = np.zeros((rows, columns, 3), np.float32)
    page[:, : columns // 2, 0] = 1
    page[:, columns // 2 :, 1] = 1
    page[-2:] = [0, 0, 1]
    return page


@pytest.mark.parametrize(("rows", "columns"), [(8, 6), (6, 12), (12, 6)])
def test_a_tile_holds_neighbours_on_a_page_that_is_not_square(rows: int, columns: int):
    page = image(rows, columns)
    found = tiles(page.reshape(-1, 3), [PatchGrid(0, rows, columns)])
    expected = page[1::2, 1::3].reshape(
        -1, 3
    )  # the middle of each tile, for all of a tile's patches are alike
    assert np.array_equal(found, expected)


def test_vectors_of_text_beside_the_image_are_in_no_tile():
    page = image(8, 6).reshape(-1, 3)
    text = np.full((4, 3), 0.5, np.float32)
    found = tiles(np.concatenate([text, page, text]), [PatchGrid(4, 8, 6)])
    assert np.array_equal(found, tiles(page, [PatchGrid(0, 8, 6)]))


def test_patches_that_fill_no_whole_tile_widen_others():
    vectors = np.eye(32 * 23, dtype=np.float32)
    found = tiles(vectors, [PatchGrid(0, 32, 23)])
    assert found.shape == (16 * 7, 32 * 23)
    assert np.all((found > 0).sum(axis=0) == 1)  # each patch is in one tile
    assert set((found > 0).sum(axis=1)) <= {6, 8}


def test_a_region_has_more_neighbours():
    page = image(8, 8)
    found = regions(page.reshape(-1, 3), [PatchGrid(0, 8, 8)])
    assert found.shape == (4, 3)
    assert found[:2].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert found[2] == pytest.approx(np.array([1, 0, 1]) / 2**0.5)
    assert regions(np.eye(32 * 23, dtype=np.float32), [PatchGrid(0, 32, 23)]).shape == (8 * 5, 32 * 23)


def test_each_image_of_a_page_has_its_own_tiles():
    vectors = np.concatenate([np.tile([[1.0, 0]], (6, 1)), np.tile([[0, 1.0]], (6, 1))]).astype(np.float32)
    found = tiles(vectors, [PatchGrid(0, 2, 3), PatchGrid(6, 2, 3)])
    assert np.array_equal(found, [[1, 0], [0, 1]])


def test_a_narrow_image_has_a_tile_too():
    vectors = np.array([[1.0, 0], [0, 1.0]], np.float32)
    (found,) = tiles(vectors, [PatchGrid(0, 1, 2)])
    assert found == pytest.approx([0.5**0.5, 0.5**0.5])


def test_without_a_grid_neighbours_in_the_row_are_pooled():
    vectors = np.repeat(np.eye(3, dtype=np.float32), 6, axis=0)
    assert np.array_equal(tiles(vectors, []), np.eye(3))
