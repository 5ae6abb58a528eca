"""Images are scaled and cut into tiles as Idefics3's own processor does it."""

import numpy as np
import pytest
from PIL import Image
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from jobs.errors import InvalidInput
from workers.runners.vision.tiles import Tiling, cut_to_tiles

TILING = Tiling(edge=192, tile=48)
PROCESSOR = Idefics3ImageProcessorPil(
    size={"longest_edge": TILING.edge},
    max_image_size={"longest_edge": TILING.tile},
    do_normalize=False,
    do_rescale=False,
    do_pad=False,
    return_row_col_info=True,
)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "size", [(192, 192), (100, 60), (61, 100), (500, 333), (20, 300), (300, 17), (1, 1), (191, 193)]
)
def test_tiles_are_those_of_the_library_s_processor(size: tuple[int, int]):
    image = noise(*size)
    found = cut_to_tiles(image, TILING)
    expected = PROCESSOR([[image]])
    assert [found.rows, found.columns] == [expected["rows"][0][0], expected["cols"][0][0]]
    theirs = np.stack(expected["pixel_values"][0]).transpose(0, 2, 3, 1)
    assert found.values.shape == theirs.shape
    np.testing.assert_array_equal(found.values, theirs)


def test_image_of_one_tile_has_no_whole_beside_it():
    found = cut_to_tiles(noise(30, 30), Tiling(edge=48, tile=48))
    assert (found.rows, found.columns, found.values.shape) == (0, 0, (1, 48, 48, 3))


def test_stripe_is_refused():
    with pytest.raises(InvalidInput, match="narrow"):
        cut_to_tiles(noise(402, 2), TILING)
