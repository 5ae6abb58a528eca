"""Texts and images, as messages and inputs hold them."""

import msgspec


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """A piece of text in a message or an input."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """An encoded image (PNG, JPEG, …), as it came: whoever asked has fetched it already."""

    data: bytes


class BlobPart(msgspec.Struct, frozen=True, tag="blob"):
    """An encoded image that lies beside the queue (jobs.blobs), where workers read it: it is too large for a job."""

    digest: str
    """SHA-256 of its bytes, in hexadecimal digits."""
    size_bytes: int
    pixels: int


class MixedInput(msgspec.Struct, frozen=True, tag="page"):
    """Images, and texts beside them, that are read together as one input."""

    parts: tuple[TextPart | ImagePart | BlobPart, ...]
