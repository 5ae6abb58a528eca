"""Storing points in the embedded store: msgpack with the bytes of the arrays, through its socket."""

from collections.abc import Iterator, Sequence

import httpx
import msgspec
import numpy as np

from ingest.qdrant.bulk import BulkPoint, UpsertFailed, Vector, batches
from ingest.qdrant.connect import TIMEOUT_S
from ingest.qdrant.folder import vector_folder
from ingest.qdrant.packed import PACKED, PackedArray, PackedPoint
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings

PIECE_BYTES = 128 << 10
"""Of a body: about as much as a socket takes at once."""


class EmbeddedWriter:
    """A BulkWriter."""

    def __init__(self, settings: Settings) -> None:
        transport = httpx.HTTPTransport(uds=str(vector_folder(settings).socket))
        self._client = httpx.Client(transport=transport, base_url="http://store", timeout=TIMEOUT_S)

    def close(self) -> None:
        self._client.close()

    def upsert(self, collection: str, points: Sequence[BulkPoint]) -> None:
        """Raises: UpsertFailed, StoreUnavailable."""
        for batch in batches(points):
            body = msgspec.msgpack.encode([_packed(each) for each in batch])
            headers = {"content-type": PACKED, "content-length": f"{len(body)}"}
            try:
                reply = self._client.put(
                    f"/collections/{collection}/points", content=_pieces(body), headers=headers
                )
            except httpx.TransportError as error:
                raise StoreUnavailable(f"The vector store does not answer: {error}.") from error
            if reply.is_error:
                raise UpsertFailed(reply.json()["status"]["error"])


def _pieces(body: bytes) -> Iterator[bytes]:
    """httpcore copies what is left of a piece each time that the socket has taken some of it."""
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]


def _packed(point: BulkPoint) -> PackedPoint:
    sparse = {
        name: (np.asarray(indices, "<u4").tobytes(), np.asarray(values, "<f4").tobytes())
        for name, (indices, values) in point.sparse.items()
    }
    vectors = {name: _array(vector) for name, vector in point.vectors.items()}
    return PackedPoint(point.id, vectors, sparse, dict(point.payload))


def _array(vector: Vector) -> PackedArray:
    little = vector.astype(vector.dtype.newbyteorder("<"), copy=False)
    return PackedArray(f"<f{vector.dtype.itemsize}", vector.shape, np.ascontiguousarray(little).tobytes())
