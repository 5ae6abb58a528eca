"""Files that go to the server: images as data URIs, documents as text."""

import base64
from pathlib import Path

from cli.cannot_do import CannotDo

_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
}
"""What the files of the formats that the server reads begin with. WebP and BMP say so later, too."""


def read(name: str) -> bytes:
    """Raises CannotDo."""
    try:
        return Path(name).expanduser().read_bytes()
    except OSError as error:
        raise CannotDo(f"Cannot read {name}: {error.strerror or error}.") from error


def text(name: str) -> str:
    """Raises CannotDo."""
    try:
        return read(name).decode()
    except UnicodeDecodeError as error:
        raise CannotDo(f"{name} is no UTF-8 text.") from error


def image_kind(data: bytes) -> str | None:
    """The format of an image, by what it begins with. None: it is none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return "bmp"
    return next((kind for start, kind in _IMAGES.items() if data.startswith(start)), None)


def data_uri(name: str) -> str:
    """An image's file. Raises CannotDo."""
    data = read(name)
    kind = image_kind(data)
    if kind is None:
        raise CannotDo(f"{name} is no PNG, JPEG, WebP, GIF, BMP or TIFF.")
    return _uri(data, kind)


def document(name: str) -> str | dict[str, str]:
    """A text, or an object with an image. Raises CannotDo."""
    data = read(name)
    kind = image_kind(data)
    if kind is not None:
        return {"image": _uri(data, kind)}
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CannotDo(
            f"{name} is neither UTF-8 text nor an image. `mlxq ingest` reads other documents."
        ) from error


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
