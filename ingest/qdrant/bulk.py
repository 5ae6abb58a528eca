"""Storing pages in bulk: as bytes, because vectors as JSON cost far more than storing them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import httpx
import msgspec
import numpy as np

from ingest.qdrant.connect import TIMEOUT_S
from ingest.qdrant.folder import vector_folder
from ingest.qdrant.packed import PACKED, PackedArray, PackedPoint
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings

MAX_POINTS = 16
"""In one request: the store answers nobody else meanwhile."""

Vector = np.ndarray[Any, np.dtype[np.float16]] | np.ndarray[Any, np.dtype[np.float32]]


class BulkPoint(NamedTuple):
    """A point to be stored."""

    id: str
    vectors: Mapping[str, Vector]
    """By name: (dimension,) or, of a multi-vector, (rows, dimension)."""
    payload: Mapping[str, Any]
    sparse: Mapping[str, tuple[Sequence[int], Sequence[float]]] = {}
    """By name: indices and values."""


class UpsertFailed(Exception):
    """The store has refused points; the message is the store's."""


class BulkWriter(Protocol):
    """Stores points, wherever the collections are. For one thread."""

    def upsert(self, collection: str, points: Sequence[BulkPoint]) -> None:
        """collection: its name in Qdrant. All points are durable when it returns. May be repeated.

        Raises: UpsertFailed, StoreUnavailable.
        """
        ...

    def close(self) -> None: ...


class EmbeddedWriter:
    """Stores points in the embedded store. For one thread."""

    def __init__(self, settings: Settings) -> None:
        transport = httpx.HTTPTransport(uds=str(vector_folder(settings).socket))
        self._client = httpx.Client(transport=transport, base_url="http://store", timeout=TIMEOUT_S)

    def close(self) -> None:
        self._client.close()

    def upsert(self, collection: str, points: Sequence[BulkPoint]) -> None:
        """Raises: UpsertFailed, StoreUnavailable."""
        for start in range(0, len(points), MAX_POINTS):
            body = msgspec.msgpack.encode([_packed(each) for each in points[start : start + MAX_POINTS]])
            try:
                reply = self._client.put(
                    f"/collections/{collection}/points", content=body, headers={"content-type": PACKED}
                )
            except httpx.TransportError as error:
                raise StoreUnavailable(f"The vector store does not answer: {error}.") from error
            if reply.is_error:
                raise UpsertFailed(reply.json()["status"]["error"])


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
