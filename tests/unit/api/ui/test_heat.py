"""Heatmaps as images."""

import base64
from io import BytesIO

from PIL import Image

from api.ui.viewer.heat import COLOR, OPAQUE, heat_png, heat_words
from jobs.search.reply import Heatmap, WordMap


def opacities(image: bytes) -> list[list[int]]:
    """Rows of columns."""
    decoded = Image.open(BytesIO(image))
    assert decoded.mode == "RGBA"
    return [
        [decoded.getpixel((x, y))[3] for x in range(decoded.width)]  # pyright: ignore
        for y in range(decoded.height)
    ]


def opacities_of(uri: str) -> list[list[int]]:
    return opacities(base64.b64decode(uri.removeprefix("data:image/png;base64,")))


def test_a_patch_is_a_pixel_at_its_row_and_column():
    image = heat_png([[0.0, 0.0, 1.0], [0.5, 0.0, 0.0]], 1.0)

    decoded = Image.open(BytesIO(image))
    assert decoded.size == (3, 2)
    assert opacities(image) == [[0, 0, OPAQUE], [71, 0, 0]]
    assert decoded.getpixel((2, 0))[:3] == COLOR  # pyright: ignore


def test_words_are_shown_on_one_scale_above_the_background_of_each():
    strong = WordMap("strong", ((0.9, 0.1, 0.1), (0.1, 0.1, 0.1)))
    weak = WordMap("weak", ((0.5, 0.5, 0.5), (0.5, 0.5, 0.6)))

    both, first, second = heat_words(Heatmap(2, 3, (strong, weak)))

    assert [each.key for each in (both, first, second)] == ["all", "0", "1"]
    assert opacities_of(first.image) == [[OPAQUE, 0, 0], [0, 0, 0]]
    assert 0 < opacities_of(second.image)[1][2] < OPAQUE / 5
    assert opacities_of(both.image)[0][0] == OPAQUE
    assert opacities_of(both.image)[1][2] == opacities_of(second.image)[1][2]


def test_vectors_without_a_name_are_left_out():
    named = WordMap("name", ((0.0, 1.0),))
    nameless = WordMap("", ((1.0, 0.0),))

    [only] = heat_words(Heatmap(1, 2, (nameless, named, nameless)))

    assert (only.key, only.text) == ("all", "name")
    assert opacities_of(only.image) == [[0, OPAQUE]]


def test_where_no_vector_has_a_name_they_are_shown_together():
    maps = (WordMap("", ((1.0, 0.0, 0.0),)), WordMap("", ((0.0, 0.0, 1.0),)))

    [only] = heat_words(Heatmap(1, 3, maps))

    assert only.text == "All words"
    assert opacities_of(only.image) == [[OPAQUE, 0, OPAQUE]]
    assert heat_words(Heatmap(1, 3, ())) == []


def test_a_page_where_nothing_stands_out_stays_clear():
    [word] = heat_words(Heatmap(1, 3, (WordMap("a", ((0.3, 0.3, 0.3),)),)))

    assert opacities_of(word.image) == [[0, 0, 0]]
