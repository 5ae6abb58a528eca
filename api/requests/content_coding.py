"""Bodies that came compressed."""

import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any, cast

import zstandard

from jobs.errors import InvalidInput

_PIECE_BYTES = 1 << 20
_ZSTD_WINDOW_BYTES = 8 << 20
"""RFC 9659: what a reader of HTTP must bear."""

Decompress = Callable[[bytes], Iterator[bytes]]


def decompressed(raw: bytes, coding: str) -> Iterator[bytes]:
    """The pieces of a body, none larger than 1 MiB, so that the reader may stop in time.

    coding: the header Content-Encoding; several are undone from the last to the first. Raises InvalidInput for one that
    is unknown and, while pieces are read, for a body that is not in it.
    """
    names = [name.strip().lower() for name in coding.split(",")]
    given = [name for name in names if name not in ("", "identity")]
    unknown = [name for name in given if name not in _CODINGS]
    if unknown or len(given) > 1:
        raise InvalidInput(
            f"Content-Encoding: {coding[:100]!r} is not read. A body comes as it is, or in one of "
            f"{', '.join(_CODINGS)}."
        )
    return _checked(raw, given[0]) if given else iter((raw,))


def _checked(raw: bytes, name: str) -> Iterator[bytes]:
    try:
        yield from _CODINGS[name](raw)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise InvalidInput(f"The body is not whole, or not in {name}: {error}.") from error


def _gunzipped(raw: bytes) -> Iterator[bytes]:
    return _inflated(raw, 16 + zlib.MAX_WBITS)


def _undeflated(raw: bytes) -> Iterator[bytes]:
    """In zlib's frame, as the standard says, or without it, as some clients send."""
    is_framed = len(raw) > 1 and raw[0] & 15 == zlib.DEFLATED and (raw[0] << 8 | raw[1]) % 31 == 0
    return _inflated(raw, zlib.MAX_WBITS if is_framed else -zlib.MAX_WBITS)


def _inflated(raw: bytes, window_bits: int) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(window_bits)
    while not decompressor.eof:
        piece = decompressor.decompress(raw, _PIECE_BYTES)
        raw = decompressor.unconsumed_tail
        if not piece and not raw and not decompressor.eof:
            raise EOFError("it ends too early")
        yield piece
    if decompressor.unused_data:
        raise EOFError("something follows it")


def _unzstd(raw: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    reader = cast(Any, decompressor.stream_reader(io.BytesIO(raw), read_across_frames=True))
    while piece := reader.read(_PIECE_BYTES):
        yield piece


_CODINGS: dict[str, Decompress] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _undeflated,
    "zstd": _unzstd,
}
