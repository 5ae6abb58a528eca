"""Images brought to RGB. A vision model's worker does the same to images that callers send."""

from PIL import ExifTags, Image, ImageOps

from ingest.documents.problem import DocumentError

MAX_PIXELS = 89_478_485
"""A quarter of a gigabyte in RGB, from which on Pillow warns and goes on. A file of 14 kB may hold more."""

_BAND_ROWS = 256


def check_size(image: Image.Image) -> None:
    """Before any memory is taken for it. Raises: DocumentError."""
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise DocumentError(
            "too_large",
            f"It has {pixels / 1e6:,.0f} megapixels, and at most {MAX_PIXELS / 1e6:.0f} are read. Make it smaller.",
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """Turned as its EXIF data says, on white where it is transparent, 16 bits scaled to 8. Of the largest images it
    makes as few copies as it can: each is a third of a gigabyte. Raises: DocumentError.
    """
    if image.mode == "F":
        raise DocumentError(
            "unsupported",
            "Its pixels are floating-point numbers of unknown range. Save it with 8 or 16 bits.",
        )
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits, which convert() would cut off at 255
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """In bands, for what lies between needs memory, too."""
    found = Image.new("RGB", image.size)
    for top in range(0, image.height, _BAND_ROWS):
        bounds = (0, top, image.width, min(top + _BAND_ROWS, image.height))
        band = image.crop(bounds).convert("RGBA")
        found.paste(Image.alpha_composite(Image.new("RGBA", band.size, "white"), band).convert("RGB"), bounds)
    return found
