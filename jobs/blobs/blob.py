"""An image as it is put beside the queue."""

import hashlib
from typing import NamedTuple

from jobs.content import BlobPart


class Blob(NamedTuple):
    """An encoded image, and what a job says instead of it."""

    part: BlobPart
    pieces: tuple[bytes, ...]
    """Its bytes, one piece after the other."""


def raw_image(width: int, height: int, pixels: bytes) -> Blob:
    """pixels: RGB, a byte for each colour, row by row. Raises ValueError where they are too few or too many.

    The encoding is binary PPM, a header before the pixels: written in 0.6 ms, and read in 0.5. Of the same page, PNG at
    its fastest level takes 17 to 50 ms, and 5 to 13.
    """
    if len(pixels) != 3 * width * height:
        raise ValueError(f"{len(pixels)} bytes are no image of {width} * {height} pixels.")
    pieces = (b"P6\n%d %d\n255\n" % (width, height), pixels)
    digest = hashlib.sha256(usedforsecurity=False)
    for piece in pieces:
        digest.update(piece)
    part = BlobPart(digest.hexdigest(), sum(map(len, pieces)), width * height)
    return Blob(part, pieces)
