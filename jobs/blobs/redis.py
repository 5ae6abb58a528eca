# pyright: reportUnknownMemberType=false
"""Blobs in Redis, for workers on other machines: compressed, within a bound, and for a time only."""

from collections.abc import Iterable
from typing import Any

import redis
import zstandard

from jobs.blobs.blob import Blob
from jobs.content import BlobPart
from jobs.errors import BlobGone, Overloaded
from jobs.results.encoding import parts_of
from jobs.store import keys
from jobs.store.scripts import script

KEPT_S = 3_600
"""How long a blob lies there that nobody removes."""

RETRY_AFTER_S = 1


class RedisBlobs:
    """All methods raise RedisError, and may be repeated."""

    def __init__(self, connection: redis.Redis, max_bytes: int) -> None:
        """max_bytes: of all blobs together, compressed."""
        self._redis = connection
        self._max_bytes = max_bytes
        self._put = connection.register_script(script("put_blob"))
        self._remove = connection.register_script(script("remove_blobs"))

    def put(self, blob: Blob) -> None:
        """Raises Overloaded where there is no room: blobs of jobs that have run leave some."""
        data = zstandard.ZstdCompressor(level=1).compress(b"".join(blob.pieces))
        parts = list(parts_of(data))
        digest, key = blob.part.digest, keys.page_blob(blob.part.digest)
        verdict, used = self._put(args=[digest, len(data), len(parts), KEPT_S, self._max_bytes])
        if verdict == b"full":
            raise Overloaded(
                f"The pages that wait for workers have {int(used):,} bytes in Redis, and may have "
                f"{self._max_bytes:,} (MLXQ_BLOB_BYTES). Try again in a moment, or let ingest and workers share a "
                "folder (MLXQ_RESULTS).",
                retry_after_s=RETRY_AFTER_S,
            )
        for number, part in enumerate(parts if verdict == b"write" else ()):
            pipeline = self._redis.pipeline(transaction=True)  # one by one: each holds Redis up for a moment
            pipeline.hset(key, str(number), part)  # pyright: ignore[reportArgumentType]: bytes are a value, too
            pipeline.expire(key, KEPT_S)
            pipeline.execute()

    def read(self, part: BlobPart) -> bytes:
        """Its bytes. Raises BlobGone."""
        key = keys.page_blob(part.digest)
        count: Any = self._redis.hlen(key)
        found: list[Any] = [self._redis.hget(key, str(number)) for number in range(count)]
        if not found or None in found:
            raise BlobGone
        try:
            data = zstandard.ZstdDecompressor().decompress(b"".join(found), max_output_size=part.size_bytes)
        except zstandard.ZstdError as error:
            raise BlobGone from error
        if len(data) != part.size_bytes:
            raise BlobGone
        return data

    def remove(self, digests: Iterable[str]) -> None:
        """They may be gone already."""
        if args := list(digests):
            self._remove(args=args)

    def sweep(self) -> None:
        """Nothing: Redis ends them by itself, and `put` forgets the bytes of those whose time is over."""
