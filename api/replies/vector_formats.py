"""Forms of vectors: what `encoding_format` and `output_dtype` name."""

import asyncio
import struct
from array import array
from collections.abc import Callable
from typing import Literal, TypeVar

from jobs.embed import EmbedResult
from jobs.errors import InternalError
from jobs.job import Result

T = TypeVar("T")

Encoding = Literal["float", "base64"]
OutputDtype = Literal["float", "float16", "int8", "uint8", "binary", "ubinary"]

_INT8_MOST = 127
FLOAT_BYTES = 4
_SLICE = 64
"""Vectors written between two turns of the event loop: a few milliseconds for those of usual sizes."""


def one_vector_each(result: Result) -> EmbedResult:
    """The result, checked: as many whole vectors as inputs. Raises InternalError."""
    if not isinstance(result, EmbedResult) or result.counts:
        raise InternalError
    if len(result.vectors) != len(result.tokens) * result.dimensions * FLOAT_BYTES:
        raise InternalError
    return result


async def write_each(result: EmbedResult, write: "Callable[[memoryview[float]], T]") -> list[T]:
    """What `write` makes of each vector, float32, (dimensions,). Other requests have their turn in between."""
    floats, size = memoryview(result.vectors).cast("f"), result.dimensions
    found: list[T] = []
    for row in range(len(result.tokens)):
        if row % _SLICE == _SLICE - 1:
            await asyncio.sleep(0)
        found.append(write(floats[row * size : (row + 1) * size]))
    return found


def packed(vector: "memoryview[float]", dtype: OutputDtype) -> bytes:
    """A vector's values, little-endian. vector: float32, (dimensions,).

    float16: IEEE half precision. int8: each value times 127 over the vector's largest, rounded; angles between vectors
    stay. uint8: the same plus 128. ubinary: a bit for each value, 1 where it is above 0, eight to a byte, the first one
    highest; the last byte is filled with 0. binary: the same bytes less 128, as int8 (both as sentence-transformers and
    Voyage have them).
    """
    match dtype:
        case "float":
            return vector.tobytes()
        case "float16":
            return struct.pack(f"<{len(vector)}e", *vector)
        case "int8":
            most = max(map(abs, vector)) or 1.0
            return array("b", [round(value * _INT8_MOST / most) for value in vector]).tobytes()
        case "uint8":
            return bytes(byte ^ 0x80 for byte in packed(vector, "int8"))  # plus 128, in two's complement
        case "ubinary":
            return _bits(vector)
        case "binary":
            return bytes(byte ^ 0x80 for byte in _bits(vector))  # less 128, in two's complement


def values(raw: bytes, dtype: OutputDtype) -> list[float] | list[int]:
    """Packed values as JSON has them."""
    code = {"float": "f", "float16": "e", "int8": "b", "uint8": "B", "binary": "b", "ubinary": "B"}[dtype]
    return list(struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw))


def _bits(vector: "memoryview[float]") -> bytes:
    text = "".join("1" if value > 0 else "0" for value in vector)
    size = -(-len(text) // 8)
    return int(text.ljust(8 * size, "0"), 2).to_bytes(size, "big")
