"""Encoded pictures become RGB, or are refused."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from jobs.errors import InvalidInput
from workers.runners.pictures import decode

RED, BLUE = (255, 0, 0), (0, 0, 255)


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def test_picture_is_turned_as_its_camera_said():
    picture = Image.new("RGB", (4, 2), RED)
    picture.putpixel((0, 0), BLUE)
    exif = Image.Exif()
    exif[0x0112] = 6  # the right edge of what was seen is the top: a quarter turn clockwise
    found = decode(encode(picture, "PNG", exif=exif), "messages")
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
    picture = Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    found = decode(encode(picture, "GIF", transparency=0), "messages")
    assert [found.getpixel((0, 0)), found.getpixel((1, 0))] == [(255, 255, 255), BLUE]


def test_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, BLUE)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert decode(data, "messages").getpixel((0, 0)) == RED


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(encode(Image.new(mode, (3, 3)), kind), "messages").mode == "RGB"


def test_sixteen_bits_keep_their_brightness():
    data = encode(Image.new("I;16", (2, 2), 128 * 257), "PNG")
    assert decode(data, "messages").getpixel((0, 0)) == (128, 128, 128)


WHOLE = encode(Image.new("RGB", (64, 64), RED), "JPEG")


@pytest.mark.parametrize("data", [b"", b"no picture", WHOLE[:60], WHOLE[: len(WHOLE) // 2], b"GIF89a"])
def test_what_cannot_be_decoded_is_refused_by_name(data: bytes):
    with pytest.raises(InvalidInput) as caught:
        decode(data, "images")
    assert caught.value.param == "images"


def test_picture_of_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InvalidInput, match="decoded"):
        decode(encode(Image.new("RGB", (20, 20)), "PNG"), "messages")
