"""Images brought to RGB. A vision model's worker does the same to images that callers send."""

from PIL import Image, ImageOps

from ingest.documents.problem import DocumentError

MAX_PIXELS = 89_478_485
"""A quarter of a gigabyte in RGB, from which on Pillow warns and goes on. A file of 14 kB may hold more."""


def check_size(image: Image.Image) -> None:
    """Before any memory is taken for it. Raises: DocumentError."""
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise DocumentError(
            "too_large",
            f"It has {pixels / 1e6:,.0f} megapixels, and at most {MAX_PIXELS / 1e6:.0f} are read. Make it smaller.",
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data says, on white where it is transparent, 16 bits scaled to 8. Raises: DocumentError."""
    if image.mode == "F":
        raise DocumentError(
            "unsupported",
            "Its pixels are floating-point numbers of unknown range. Save it with 8 or 16 bits.",
        )
    return _on_white(ImageOps.exif_transpose(image))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which convert() would cut off at 255
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")
