"""Pictures as they came, turned into what a vision model's processor takes."""

from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from jobs.errors import InvalidInput


def decode(data: bytes, param: str) -> Image.Image:
    """The picture in RGB: turned as its EXIF data says, on white where it is transparent, an animation's first frame.

    Raises InvalidInput, naming `param`.
    """
    try:
        with Image.open(BytesIO(data)) as opened:
            opened.load()
            return _on_white(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError as error:
        raise InvalidInput("An image is in no format that can be read.", param=param) from error
    except Exception as error:
        # Pillow's decoders raise what they like on broken data: OSError, SyntaxError, struct.error, ValueError, …
        raise InvalidInput(
            f"An image cannot be decoded: {error or type(error).__name__}.", param=param
        ) from error


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits, which convert() would cut off at 255
        return picture.convert("I").point(lambda value: value * (1 / 257)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")
