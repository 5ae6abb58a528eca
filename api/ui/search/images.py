"""Images to search with: kept for a day under their digest, so that the search has an address."""

import asyncio
import hashlib

from redis.exceptions import RedisError

from api.ui.search.address import SearchAddress, image_of
from jobs.blobs.blob import Blob
from jobs.blobs.store import BlobStore
from jobs.content import BlobPart
from jobs.errors import BlobGone, InvalidInput, QueueUnavailable


class QueryImages:
    """Where uploaded images lie, for all API processes."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    async def put(self, data: bytes) -> str:
        """What the address says of it. Raises Overloaded, QueueUnavailable."""
        part = _part(hashlib.sha256(data).hexdigest(), len(data))
        try:
            await asyncio.to_thread(self._blobs.put, Blob(part, (data,)))
        except (RedisError, OSError) as error:
            raise QueueUnavailable from error
        return f"{part.digest}-{part.size_bytes}"

    async def read(self, address: SearchAddress) -> bytes | None:
        """None where the address names none. Raises InvalidInput where it is gone, QueueUnavailable."""
        if not address.image:
            return None
        try:
            return await asyncio.to_thread(self._blobs.read, _part(*image_of(address)))
        except BlobGone as error:
            raise InvalidInput(
                "The image of this search is not kept any more: choose it again.", param="image"
            ) from error
        except (RedisError, OSError) as error:
            raise QueueUnavailable from error


def _part(digest: str, size_bytes: int) -> BlobPart:
    return BlobPart(digest, size_bytes, 0)
