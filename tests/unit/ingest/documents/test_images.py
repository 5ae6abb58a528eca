"""Images of every kind, as pages."""

import gzip
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from ingest.documents.canvas import Canvas
from ingest.documents.problem import DocumentError
from ingest.documents.wants import Wants
from tests.support.documents.reading import COLQWEN, opened, read_page
from tests.support.images import encode, painted
from workers.runners.vision.images import decode

RGB = Image.open(BytesIO(painted(90, 60, (1,))))


def with_alpha() -> Image.Image:
    layer = RGB.copy()
    layer.putalpha(Image.linear_gradient("L").resize(RGB.size))
    return layer


def with_transparent_colour() -> Image.Image:
    image = RGB.quantize(16)
    image.info["transparency"] = 3
    return image


def of_16_bits() -> Image.Image:
    return Image.fromarray((np.arange(90 * 60).reshape(60, 90) * 12).astype(np.uint16))


def turned() -> dict[str, Any]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif.tobytes()}


FILES: dict[str, bytes] = {
    "PNG": encode(RGB),
    "PNG, grey": encode(RGB.convert("L")),
    "PNG, black and white": encode(RGB.convert("1")),
    "PNG, transparent": encode(with_alpha()),
    "PNG, transparent, in several bands": encode(with_alpha().resize((40, 700))),
    "PNG, grey and transparent": encode(with_alpha().convert("LA")),
    "PNG, transparent colour": encode(with_transparent_colour()),
    "PNG, 16 bits": encode(of_16_bits()),
    "JPEG": encode(RGB, "JPEG"),
    "JPEG, CMYK": encode(RGB.convert("CMYK"), "JPEG"),
    "JPEG, turned": encode(RGB, "JPEG", **turned()),
    "WebP": encode(RGB, "WEBP", lossless=True),
    "WebP, transparent": encode(with_alpha(), "WEBP", lossless=True),
    "GIF": encode(RGB.quantize(64), "GIF"),
    "GIF, moving": encode(RGB.quantize(64), "GIF", save_all=True, append_images=[Image.new("RGB", RGB.size)]),
    "BMP": encode(RGB, "BMP"),
    "TIFF": encode(RGB, "TIFF"),
    "TIFF, CMYK": encode(RGB.convert("CMYK"), "TIFF"),
    "TIFF, 16 bits": encode(of_16_bits(), "TIFF"),
    "AVIF": encode(RGB, "AVIF"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_page_is_what_a_model_sees_of_an_image_that_a_caller_sends(tmp_path: Path, kind: str):
    path = tmp_path / "no-extension"
    path.write_bytes(FILES[kind])

    page, picture = read_page(path)

    assert (page.number, page.label, page.text, page.warnings) == (1, "1", None, ())
    assert (picture == np.asarray(decode(FILES[kind], "input"))).all()


def test_what_is_transparent_is_on_white(tmp_path: Path):
    path = tmp_path / "clear.png"
    path.write_bytes(encode(Image.new("RGBA", (5, 5), (0, 0, 0, 0))))

    assert (read_page(path)[1] == 255).all()


def test_16_bits_keep_their_range(tmp_path: Path):
    path = tmp_path / "deep.png"
    path.write_bytes(encode(Image.fromarray(np.array([[0, 32768, 65535]], np.uint16))))

    assert read_page(path)[1][0, :, 0].tolist() == [0, 127, 255]


@pytest.mark.parametrize("turn", [False, True])
def test_heic_is_read_and_turned_once(tmp_path: Path, turn: bool):
    path = tmp_path / "photo.heic"
    pillow_heif.register_heif_opener()
    RGB.save(path, "HEIF", quality=95, **(turned() if turn else {}))

    _, picture = read_page(path)

    expected = np.asarray(RGB.rotate(-90, expand=True) if turn else RGB).astype(int)
    assert picture.shape == expected.shape
    assert abs(picture - expected).mean() < 20


def test_every_frame_of_a_tiff_is_a_page(tmp_path: Path):
    path = tmp_path / "scan"
    frames = [Image.new("RGB", (10 + 5 * index, 10), (80 * index, 0, 0)) for index in range(3)]
    path.write_bytes(encode(frames[0], "TIFF", save_all=True, append_images=frames[1:]))

    with opened(path) as document:
        assert document.page_count == 3
    for number in (3, 1, 2):
        _, picture = read_page(path, number)
        assert picture.shape == (10, 5 + 5 * number, 3)
        assert (picture[..., 0] == 80 * (number - 1)).all()


def test_a_gzip_of_an_image_is_that_image(tmp_path: Path):
    path = tmp_path / "image.gz"
    path.write_bytes(gzip.compress(FILES["PNG"]))

    assert (read_page(path)[1] == np.asarray(RGB)).all()


def test_a_large_image_is_scaled_as_the_model_would_scale_it(tmp_path: Path):
    path = tmp_path / "large.bmp"
    path.write_bytes(encode(RGB.resize((1500, 1100)), "BMP"))

    _, picture = read_page(path)

    height, width, _ = picture.shape
    assert (width * height <= COLQWEN.max_pixels) and width % 28 == height % 28 == 0
    scaled = Image.open(path).resize((width, height), Image.Resampling.BICUBIC)
    assert (picture == np.asarray(scaled)).all()


def png_of(width: int, height: int) -> bytes:
    """One that says it is so large, and has no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def tiff_with_bomb_behind() -> bytes:
    """Its second frame says that it is 30,000 pixels wide and high."""
    frames = [Image.new("L", (7, 9)), Image.new("L", (12345, 1))]
    data = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    wide = struct.pack("<HHII", 256, 4, 1, 12345), struct.pack("<HHII", 256, 4, 1, 30000)
    high = struct.pack("<HHII", 257, 4, 1, 1), struct.pack("<HHII", 257, 4, 1, 30000)
    assert data.count(wide[0]) == data.count(high[0]) == 1
    return data.replace(*wide).replace(*high)


BAD = {
    "a bomb": (png_of(30_000, 30_000), "too_large"),
    "a bomb that Pillow only warns of": (png_of(10_000, 9_000), "too_large"),
    "a JPEG that is cut off": (FILES["JPEG"][:-200], "truncated"),
    "a PNG that is cut off": (FILES["PNG"][:-900], "truncated"),
    "a PNG without pixels": (png_of(10, 10), "truncated"),
    "a PNG that is none": (b"\x89PNG\r\n\x1a\n" + bytes(100), "unreadable"),
    "a WebP that is none": (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(100), "unreadable"),
    "a HEIC that is none": (b"\0\0\0\x18ftypheic" + bytes(100), "unreadable"),
    "floating-point numbers": (encode(Image.new("F", (9, 9)), "TIFF"), "unsupported"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_image_is_named(tmp_path: Path, what: str):
    path = tmp_path / "image"
    data, kind = BAD[what]
    path.write_bytes(data)

    with pytest.raises(DocumentError) as raised:
        read_page(path)
    assert raised.value.problem.kind == kind


def test_a_bomb_behind_a_good_frame_is_that_frames(tmp_path: Path):
    path = tmp_path / "image.tiff"
    path.write_bytes(tiff_with_bomb_behind())

    assert read_page(path, 1)[1].shape == (9, 7, 3)
    with pytest.raises(DocumentError) as raised:
        read_page(path, 2)
    assert raised.value.problem.kind == "too_large"


def test_a_text_that_begins_like_a_bmp_is_a_text(tmp_path: Path):
    path = tmp_path / "text"
    path.write_bytes(b"BMW and Audi are makers of cars, as others are.")

    with opened(path) as document:
        page = document.read(1, Wants(text=True), Canvas(memoryview(b"")))
    assert page.text is not None and page.text.startswith("BMW")


def test_what_is_of_no_format_says_which_there_are(tmp_path: Path):
    path = tmp_path / "program.png"
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(range(256)))

    with pytest.raises(DocumentError) as raised:
        read_page(path)
    assert raised.value.problem.kind == "unsupported"
    assert "PDF" in raised.value.problem.message
