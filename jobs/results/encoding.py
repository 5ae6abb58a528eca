"""What RQ's result of a finished job holds: the result itself, or where it lies.

RQ's `Job.return_value()` undoes base64 and the serializer, so what stands there is base64 of msgpack, which makes four
bytes of three. That is cheap for a small result, which needs no key of its own. A larger one lies beside as bytes.
"""

import base64
from collections.abc import Iterator

import msgspec
import zstandard

from jobs.errors import UnreadableResult
from jobs.job import Result
from jobs.store.record import PART_BYTES, compressed_text, is_compressed, pack

INLINE_BYTES = 17 * 1024
"""Results up to this size travel inside FINISH: a vector of 4,096 values and a long chat do. A script blocks Redis."""


class ResultParts(msgspec.Struct, frozen=True, tag="result_parts"):
    """Stands where the result would: its bytes are the fields 0, 1, … of a hash in Redis."""

    key: str
    parts: int


class ResultFile(msgspec.Struct, frozen=True, tag="result_file"):
    """Stands where the result would: its bytes are a file of the folder for results."""

    name: str


_decode: msgspec.msgpack.Decoder[Result] = msgspec.msgpack.Decoder(Result)
_decode_stored: msgspec.msgpack.Decoder[Result | ResultParts | ResultFile] = msgspec.msgpack.Decoder(
    Result | ResultParts | ResultFile
)


def encode_stored(result: Result | ResultParts | ResultFile) -> bytes:
    """What RQ's Result.return_value holds: base64 of the serializer's output."""
    return encode_packed(pack(result))


def encode_packed(packed: bytes) -> bytes:
    """The same of what is packed already."""
    return base64.b64encode(packed)


def decode_stored(stored: bytes) -> Result | ResultParts | ResultFile:
    """The reverse of `encode_stored`. Raises UnreadableResult."""
    try:
        return _decode_stored.decode(base64.b64decode(stored))
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnreadableResult from error


def encode_beside(packed: bytes) -> bytes:
    """A packed result as it lies in a file or in parts: texts are compressed, vectors would not get smaller."""
    return compressed_text(packed)


def decode_beside(data: bytes) -> Result:
    """The reverse of `encode_beside`. Raises UnreadableResult."""
    try:
        if is_compressed(data):
            data = zstandard.ZstdDecompressor().decompress(data)
        return _decode.decode(data)
    except (msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise UnreadableResult from error


def parts_of(data: bytes) -> Iterator[bytes]:
    """Pieces that no Redis refuses: the least that `proto-max-bulk-len` can be set to is a part's size."""
    for at in range(0, len(data), PART_BYTES):
        yield data[at : at + PART_BYTES]
