"""Bodies that came compressed."""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

from jobs.errors import InvalidInput

_DEFLATE_SLICE_BYTES = 1 << 10
"""Becomes 1 MiB at most: deflate makes 1,032 bytes of one."""
_ZSTD_SLICE_BYTES = 128
"""Becomes 4 MiB at most: zstd makes 128 KiB of 4 bytes."""
_ZSTD_WINDOW_BYTES = 8 << 20
"""RFC 9659: what a reader of HTTP must bear."""


class _Decompressor(Protocol):
    """Of one part of a body."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


Decompress = Callable[[bytes], Iterator[bytes]]


def decompressed(raw: bytes, coding: str) -> Iterator[bytes]:
    """The pieces of a body, none larger than 4 MiB, so that the reader may stop in time.

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
    """One member, or several: RFC 1952, 2.2."""
    return _in_parts(raw, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), _DEFLATE_SLICE_BYTES)


def _undeflated(raw: bytes) -> Iterator[bytes]:
    """In zlib's frame, as the standard says, or without it, as some clients send. There is but one part."""
    is_framed = len(raw) > 1 and raw[0] & 15 == zlib.DEFLATED and (raw[0] << 8 | raw[1]) % 31 == 0
    parts = iter((zlib.decompressobj(zlib.MAX_WBITS if is_framed else -zlib.MAX_WBITS),))
    return _in_parts(raw, lambda: next(parts, None), _DEFLATE_SLICE_BYTES)


def _unzstd(raw: bytes) -> Iterator[bytes]:
    """One frame, or several: RFC 8878, 3.1."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    return _in_parts(raw, decompressor.decompressobj, _ZSTD_SLICE_BYTES)


def _in_parts(raw: bytes, begin: Callable[[], _Decompressor | None], slice_bytes: int) -> Iterator[bytes]:
    """begin: gives a decompressor for the next part, or None where there may be no other. Slices keep the pieces small,
    and what is left of one when a part ends.
    """
    part = begin()
    for start in range(0, len(raw), slice_bytes):
        left = raw[start : start + slice_bytes]
        while left:
            if part is not None and part.eof:
                part = begin()
            if part is None:
                raise EOFError("something follows it")
            yield part.decompress(left)
            left = part.unused_data
    if part is None or not part.eof:
        raise EOFError("it ends too early")


_CODINGS: dict[str, Decompress] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _undeflated,
    "zstd": _unzstd,
}
