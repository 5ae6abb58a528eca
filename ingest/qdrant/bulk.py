"""Points to be stored in bulk, and who stores them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

MAX_POINTS = 16
"""In one request: the embedded store answers nobody else meanwhile."""

MAX_BYTES = 16 << 20
"""In one request, vectors as float32. A server refuses more than 32 MiB."""

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


def batches(points: Sequence[BulkPoint]) -> Iterator[list[BulkPoint]]:
    """As many points as fit into one request, at least one."""
    batch: list[BulkPoint] = []
    size_bytes = 0
    for point in points:
        of_point = 4 * sum(vector.size for vector in point.vectors.values())
        if batch and (len(batch) == MAX_POINTS or size_bytes + of_point > MAX_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(point)
        size_bytes += of_point
    if batch:
        yield batch
