"""Points as msgpack with the bytes of arrays: what the embedded store takes in bulk besides Qdrant's JSON."""

from typing import Any

import msgspec

PACKED = "application/msgpack"
"""The media type of a list of PackedPoint."""


class PackedArray(msgspec.Struct, frozen=True, array_like=True):
    """An array as its bytes, row by row."""

    dtype: str
    """<f2 or <f4: little-endian float16 or float32."""
    shape: tuple[int, ...]
    data: bytes


class PackedPoint(msgspec.Struct, frozen=True, array_like=True):
    """A point with its dense vectors by name. Sparse ones are a pair of arrays: indices (<u4) and values (<f4)."""

    id: int | str
    vectors: dict[str, PackedArray]
    sparse: dict[str, tuple[bytes, bytes]] = {}
    payload: dict[str, Any] = {}
