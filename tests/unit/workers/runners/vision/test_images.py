"""Encoded images become RGB, or are refused."""

import pytest
from PIL import Image

from jobs.errors import InvalidInput
from tests.support.images import encode
from workers.runners.vision.images import decode

RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_image_is_turned_as_its_camera_said():
    image = Image.new("RGB", (4, 2), RED)
    image.putpixel((0, 0), BLUE)
    exif = Image.Exif()
    exif[0x0112] = 6  # the right edge of what was seen is the top: a quarter turn clockwise
    found = decode(encode(image, "PNG", exif=exif), "messages")
    assert found.size == (2, 4)
    assert found.getpixel((1, 0)) == BLUE


@pytest.mark.parametrize(
    ("mode", "clear"), [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0)), ("RGBA", (255, 255, 255, 128))]
)
def test_what_is_transparent_is_white(mode: str, clear: tuple[int, ...]):
    found = decode(encode(Image.new(mode, (2, 2), clear), "PNG"), "messages")
    assert found.mode == "RGB"
    assert found.getpixel((0, 0)) == (255, 255, 255)


def test_transparent_colour_of_a_palette_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    found = decode(encode(image, "GIF", transparency=0), "messages")
    assert [found.getpixel((0, 0)), found.getpixel((1, 0))] == [(255, 255, 255), BLUE]


def test_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, BLUE)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert decode(data, "messages").getpixel((0, 0)) == RED


@pytest.mark.parametrize(("kind", "mode"), [("TIFF", "I;16"), ("TIFF", "I;16B"), ("PNG", "I;16")])
def test_sixteen_bits_of_any_file_keep_their_brightness(kind: str, mode: str):
    found = decode(encode(Image.new(mode, (2, 2), 200 * 257), kind), "input")
    assert found.getpixel((1, 1)) == (200, 200, 200)


def test_colours_for_print_become_those_of_a_screen():
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    pixel = decode(data, "input").getpixel((8, 8))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 250
    assert max(pixel[1:]) < 5


def test_photo_is_turned_as_its_camera_said():
    image = Image.new("RGB", (64, 32), RED)
    image.paste(BLUE, (0, 0, 16, 32))  # the left edge, which a quarter turn makes the upper one
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode(encode(image, "JPEG", exif=exif, quality=95), "input")
    assert found.size == (32, 64)
    top = found.getpixel((16, 4))
    assert isinstance(top, tuple)
    assert top[2] > 200 > 50 > top[0]


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(encode(Image.new(mode, (3, 3)), kind), "messages").mode == "RGB"


def test_sixteen_bits_keep_their_brightness():
    data = encode(Image.new("I;16", (2, 2), 128 * 257), "PNG")
    assert decode(data, "messages").getpixel((0, 0)) == (128, 128, 128)


WHOLE = encode(Image.new("RGB", (64, 64), RED), "JPEG")


@pytest.mark.parametrize("data", [b"", b"no image", WHOLE[:60], WHOLE[: len(WHOLE) // 2], b"GIF89a"])
def test_what_cannot_be_decoded_is_refused_by_name(data: bytes):
    with pytest.raises(InvalidInput) as caught:
        decode(data, "images")
    assert caught.value.param == "images"


def test_image_of_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InvalidInput, match="decoded"):
        decode(encode(Image.new("RGB", (20, 20)), "PNG"), "messages")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_small_file_of_120_megapixels_is_refused_before_it_takes_memory():
    data = encode(Image.new("1", (12_000, 10_000)), "PNG")
    assert len(data) < 20_000
    with pytest.raises(InvalidInput, match="120 megapixels") as caught:
        decode(data, "input")
    assert caught.value.param == "input"


def test_floating_point_image_is_refused():
    with pytest.raises(InvalidInput, match="floating-point"):
        decode(encode(Image.new("F", (2, 2), 0.5), "TIFF"), "input")
