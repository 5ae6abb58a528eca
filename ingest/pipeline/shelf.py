"""Images of pages beside the queue, as long as a page of this run needs them."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from redis.exceptions import RedisError

from ingest.documents.page import PageImage
from ingest.pipeline.waits import Waits
from jobs.blobs.blob import Blob, raw_image
from jobs.blobs.store import BlobStore
from jobs.content import BlobPart
from jobs.errors import Overloaded
from jobs.store.outage import cause_of


class BlobShelf:
    """Equal pages share a blob: it goes with the last of them."""

    def __init__(self, store: BlobStore, waits: Waits) -> None:
        self._store = store
        self._waits = waits
        self._users = Counter[str]()

    async def put(self, image: PageImage) -> BlobPart:
        """What a job says instead of the image. Waits for room."""
        blob = await asyncio.to_thread(raw_image, image.width, image.height, image.pixels)
        self._users[blob.part.digest] += 1
        try:
            await self._put(blob)
        except BaseException:
            self._users[blob.part.digest] -= 1
            raise
        return blob.part

    def release(self, digests: Iterable[str]) -> list[str]:
        """Pages are done with these. Returns those that nobody needs any more, for `remove`."""
        free: list[str] = []
        for digest in digests:
            self._users[digest] -= 1
            if self._users[digest] <= 0:
                del self._users[digest]
                free.append(digest)
        return free

    def remove(self, digests: Iterable[str]) -> None:
        """From any thread. What cannot be removed now goes when its time is over."""
        try:
            self._store.remove(digests)
        except (RedisError, OSError):
            return

    async def _put(self, blob: Blob) -> None:
        while True:
            try:
                return await asyncio.to_thread(self._store.put, blob)
            except Overloaded as error:
                await self._waits.pause("The pages in Redis have no more room.", error.retry_after_s)
            except RedisError as error:
                await self._waits.pause(f"Redis cannot be used ({cause_of(error)}).")
            except OSError as error:
                await self._waits.pause(f"Pages cannot be written for the workers: {error.strerror}.")
