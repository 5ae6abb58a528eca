"""Images for tests, as files."""

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

OPAQUE = b"not decoded here"
"""An image where its bytes are only passed on."""

OPAQUE_BASE64 = base64.b64encode(OPAQUE).decode()


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """options: of Pillow's writer."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(width: int, height: int) -> bytes:
    return encode(Image.new("RGB", (width, height), "blue"))


def painted(width: int, height: int, seed: Sequence[int]) -> bytes:
    """Coarse coloured fields with noise on them."""
    random = np.random.default_rng(seed)
    fields = random.integers(0, 256, (-(-height // 32), -(-width // 32), 3)).repeat(32, 0).repeat(32, 1)
    noise = random.integers(-30, 31, (height, width, 3))
    return encode(Image.fromarray((fields[:height, :width] + noise).clip(0, 255).astype(np.uint8)))


def data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
