"""Encoded images, decoded into what a vision model's processor takes."""

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import Any, TypeGuard

from PIL import Image, ImageOps, UnidentifiedImageError

from jobs.content import ImagePart, MixedInput
from jobs.errors import InvalidInput
from jobs.process.processor import cores

MAX_PIXELS = 89_478_485
"""A quarter of a gigabyte in RGB, from which on Pillow warns and goes on. A file of 14 kB may hold more."""

MAX_THREADS = 8
"""For decoding: each may hold an image of many megapixels."""


def decoding_threads() -> ThreadPoolExecutor:
    """A model's own threads, which start when first used."""
    return ThreadPoolExecutor(min(MAX_THREADS, cores()), thread_name_prefix="images")


def cancel(decoding: Iterable[Future[Any]]) -> None:
    """Leave undecoded what no thread has begun with."""
    for each in decoding:
        each.cancel()


def blank_image() -> bytes:
    """A white PNG, for trying a model out."""
    file = BytesIO()
    Image.new("RGB", (64, 64), "white").save(file, "PNG")
    return file.getvalue()


def has_image(value: str | tuple[int, ...] | MixedInput) -> TypeGuard[MixedInput]:
    """Whether an embedding's input has an image."""
    return isinstance(value, MixedInput) and any(isinstance(part, ImagePart) for part in value.parts)


def decode(data: bytes, param: str) -> Image.Image:
    """The image in RGB: turned as its EXIF data says, on white where it is transparent, an animation's first frame.

    Raises InvalidInput, naming `param`.
    """
    try:
        with Image.open(BytesIO(data)) as opened:
            _check(opened, param)
            opened.load()
            return _on_white(ImageOps.exif_transpose(opened))
    except (InvalidInput, MemoryError):  # the latter is not the image's fault
        raise
    except UnidentifiedImageError as error:
        raise InvalidInput("An image is in no format that can be read.", param=param) from error
    except Exception as error:
        # Pillow's decoders raise what they like on broken data: OSError, SyntaxError, struct.error, ValueError, …
        raise InvalidInput(
            f"An image cannot be decoded: {error or type(error).__name__}.", param=param
        ) from error


def _check(opened: Image.Image, param: str) -> None:
    """Before any memory is taken for it."""
    pixels = opened.width * opened.height
    if pixels > MAX_PIXELS:
        raise InvalidInput(
            f"An image has {pixels / 1e6:.0f} megapixels, and at most {MAX_PIXELS / 1e6:.0f} are read.",
            param=param,
        )
    if opened.mode == "F":
        raise InvalidInput("An image has floating-point values, whose range is not known.", param=param)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which convert() would cut off at 255
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")
