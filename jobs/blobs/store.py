"""Where blobs lie, as far as whoever puts and reads them needs to know."""

from collections.abc import Iterable
from typing import Protocol

import redis

from jobs.blobs.blob import Blob
from jobs.blobs.folder import BlobFolder
from jobs.blobs.redis import RedisBlobs
from jobs.content import BlobPart
from jobs.results.folder import results_folder
from jobs.settings import Settings


class BlobStore(Protocol):
    """Any thread may use it. Every method may raise RedisError or OSError, and may be repeated."""

    def put(self, blob: Blob) -> None:
        """Raises Overloaded where there is no room."""
        ...

    def read(self, part: BlobPart) -> bytes:
        """Raises BlobGone."""
        ...

    def remove(self, digests: Iterable[str]) -> None:
        """They may be gone already."""
        ...

    def sweep(self) -> None:
        """Remove what nobody has removed in time."""
        ...


def blob_store(settings: Settings, connection: redis.Redis) -> BlobStore:
    """In the folder for results where there is one, else in Redis. Senders and workers need the same settings."""
    folder = results_folder(settings)
    return (
        RedisBlobs(connection, settings.blob_bytes) if folder is None else BlobFolder(folder.path / "blobs")
    )
