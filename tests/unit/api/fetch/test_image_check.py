import asyncio
import random
import struct
import subprocess
import sys
import zlib
from io import BytesIO

import pytest
from PIL import Image

from api.fetch.image_check import ImageChecker, check_image
from jobs.errors import InvalidInput
from jobs.settings import Settings

MEGA = 1_000_000
FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]
BOMB_SIDES = (12_000, 10_000)


@pytest.fixture(autouse=True)
def pillows_own_limit(monkeypatch: pytest.MonkeyPatch):
    """In service each check has a process of its own, and may set Pillow's limit as it likes."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


def encoded(format_: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    """An image of noise, so that its data are not a few bytes."""
    noise = random.Random(0).randbytes(3 * size[0] * size[1])
    buffer = BytesIO()
    Image.frombytes("RGB", size, noise).save(buffer, format_, **options)
    return buffer.getvalue()


def check(data: bytes, max_pixels: int = 40 * MEGA) -> None:
    check_image(data, max_pixels=max_pixels, param="image")


def refusal(data: bytes, max_pixels: int = 40 * MEGA) -> str:
    with pytest.raises(InvalidInput) as refused:
        check(data, max_pixels)
    assert refused.value.param == "image"
    return refused.value.message


def png(size: tuple[int, int], *, data: bytes | None = None) -> bytes:
    """Black, one bit per pixel: 120 megapixels in 15 kilobytes. data: instead of the right ones."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    width, height = size
    pixels = zlib.compress(bytes((1 + (width + 7) // 8) * height), 9) if data is None else data
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def header_only(format_: str) -> bytes:
    """A file that says it is BOMB_SIDES large and has no pixels."""
    width, height = BOMB_SIDES
    match format_:
        case "PNG":
            return png(BOMB_SIDES, data=b"")
        case "JPEG":
            small = encoded("JPEG")
            at = small.index(b"\xff\xc0") + 5
            return small[:at] + struct.pack(">HH", height, width) + small[at + 4 : -2]
        case "WEBP":
            bits = (width - 1) | (height - 1) << 14
            content = b"VP8L" + struct.pack("<I", 6) + b"\x2f" + struct.pack("<I", bits) + b"\0"
            return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content
        case "GIF":
            frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08\0\x3b"
            return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame
        case "BMP":
            small = encoded("BMP")
            return small[:18] + struct.pack("<ii", width, height) + small[26:]
        case _:
            return tiff({256: width, 257: height, 273: 8, 278: height, 279: width * height})


def tiff(tags: dict[int, int], data: bytes = b"") -> bytes:
    """Grey, one byte per pixel. tags: the size and where the data are; they begin at byte 8."""
    tags = {258: 8, 259: 1, 262: 1, 277: 1} | tags
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items())]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_in_an_allowed_format_passes(format_: str):
    check(encoded(format_))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_a_picture_of_any_kind_of_pixels_passes(mode: str):
    buffer = BytesIO()
    Image.new(mode, (5, 5)).save(buffer, "TIFF")

    check(buffer.getvalue())


def test_a_progressive_jpeg_passes():
    check(encoded("JPEG", (640, 480), progressive=True))


@pytest.mark.parametrize(
    "data", [b"", b"GIF8", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n", b"a" * 999]
)
def test_what_is_no_picture_is_refused(data: bytes):
    assert "PNG, JPEG, WebP, GIF, BMP or TIFF" in refusal(data)


@pytest.mark.parametrize("format_", ["PPM", "ICO", "TGA", "EPS", "PDF", "JPEG2000"])
def test_a_picture_in_another_format_is_refused(format_: str):
    assert "This is not a picture" in refusal(encoded(format_))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_picture_cut_off_is_refused(format_: str, share: float):
    data = encoded(format_)

    assert "picture" in refusal(data[: int(share * len(data))])


def test_a_picture_whose_pixels_are_damaged_is_refused():
    assert "damaged or incomplete" in refusal(png((100, 100), data=b"not deflated"))
    assert "damaged or incomplete" in refusal(png((100, 100), data=zlib.compress(b"too few")))


def test_a_bomb_of_120_megapixels_is_refused():
    bomb = png(BOMB_SIDES)

    assert len(bomb) < 16_000
    assert refusal(bomb) == "The picture has more than 40,000,000 pixels. Send a smaller one."


@pytest.mark.parametrize("format_", FORMATS)
def test_too_many_pixels_are_found_in_the_header_before_anything_is_decoded(format_: str):
    """There are no pixels to decode: whoever tried first would call the picture damaged."""
    data = header_only(format_)

    assert "more than 40,000,000 pixels" in refusal(data)
    assert "damaged" in refusal(data, max_pixels=120 * MEGA)


def test_the_tiles_of_a_tiff_count_as_pixels():
    def tiled(side: int) -> bytes:
        data = zlib.compress(bytes(side * side))
        tags = {256: 64, 257: 64, 259: 8, 322: side, 323: side, 324: 8, 325: len(data)}
        return tiff(tags, data)

    check(tiled(64))
    assert "more than 1,000,000 pixels" in refusal(tiled(1024), max_pixels=1 * MEGA)


@pytest.mark.parametrize("limit", [100, 101])
def test_a_picture_of_exactly_the_limit_passes(limit: int):
    check(encoded("PNG", (limit, 1)), max_pixels=limit)
    assert f"more than {limit} pixels" in refusal(encoded("PNG", (limit + 1, 1)), max_pixels=limit)


def test_a_limit_over_pillows_own_is_kept():
    check(png((20_000, 10_000)), max_pixels=200 * MEGA)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_only_the_first_picture_of_an_animation_is_looked_at(format_: str):
    frames = [Image.effect_noise((40, 40), 90) for _ in range(4)]
    buffer = BytesIO()
    frames[0].save(buffer, format_, save_all=True, append_images=frames[1:])

    check(buffer.getvalue(), max_pixels=1600)


def test_a_jpeg_that_paints_its_pixels_again_and_again_is_refused():
    data = encoded("JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]

    check(data[:-2] + 50 * scan + data[-2:])
    assert "scans" in refusal(data[:-2] + 100 * scan + data[-2:])


def test_scans_in_a_jpegs_thumbnail_or_behind_its_end_do_not_count():
    data = encoded("JPEG")
    thumbnail = b"\xff\xd8" + 5000 * b"\xff\xda\0\x02"

    check(
        data[:2] + b"\xff\xe2" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail + data[2:] + 5 * thumbnail
    )


def test_a_jpeg_of_countless_empty_segments_is_refused():
    data = encoded("JPEG")

    assert "segments" in refusal(data[:2] + 20_000 * b"\xff\xfe\0\x02" + data[2:])


async def test_the_event_loop_goes_on_while_a_large_picture_is_decoded():
    checker = ImageChecker(Settings())
    task = asyncio.create_task(checker.check(png((6000, 6000)), param="image"))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    await task
    checker.close()

    assert turns > 5


async def test_the_settings_limit_is_the_one_that_counts():
    checker = ImageChecker(Settings(max_image_pixels=99))

    with pytest.raises(InvalidInput, match="99 pixels"):
        await checker.check(encoded("PNG", (10, 10)), param="image")
    checker.close()


def test_pillow_is_not_loaded_before_there_is_a_picture():
    code = (
        "import sys; from api.fetch.image_check import ImageChecker; from jobs.settings import Settings;"
        " ImageChecker(Settings());"
        " print('PIL' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout == "False\n"
