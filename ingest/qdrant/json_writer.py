"""Storing points in a Qdrant server by its REST API, whose vectors are JSON: where its gRPC port cannot be reached."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import msgspec
import numpy as np

from ingest.qdrant.bulk import MAX_BYTES, BulkPoint, UpsertFailed, Vector
from ingest.qdrant.connect import API_KEY, TIMEOUT_S
from jobs.search.errors import StoreUnavailable

DIGITS = 6
"""After the point: float16 is not as exact, and every digit less is less to send."""

AWAY = (429, 502, 503, 504)


class JsonWriter:
    """A BulkWriter."""

    def __init__(self, url: str) -> None:
        key = os.environ.get(API_KEY)
        self._client = httpx.Client(base_url=url, headers={"api-key": key} if key else {}, timeout=TIMEOUT_S)

    def close(self) -> None:
        self._client.close()

    def upsert(self, collection: str, points: Sequence[BulkPoint]) -> None:
        """Raises: UpsertFailed, StoreUnavailable."""
        for body in bodies(points):
            try:
                reply = self._client.put(
                    f"/collections/{collection}/points",
                    params={"wait": "true"},
                    content=body,
                    headers={"content-type": "application/json"},
                )
            except httpx.TransportError as error:
                raise StoreUnavailable(f"The Qdrant server does not answer: {error}.") from error
            if reply.status_code in AWAY:
                raise StoreUnavailable(f"The Qdrant server takes nothing at present: {_told(reply)}")
            if reply.is_error:
                raise UpsertFailed(_told(reply))


def bodies(points: Sequence[BulkPoint], max_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """Requests of at most that many bytes; one point may be larger by itself."""
    parts: list[bytes] = []
    size_bytes = 0
    for point in points:
        part = msgspec.json.encode(_point(point))
        if parts and size_bytes + len(part) > max_bytes:
            yield _body(parts)
            parts, size_bytes = [], 0
        parts.append(part)
        size_bytes += len(part) + 1
    if parts:
        yield _body(parts)


def _body(parts: list[bytes]) -> bytes:
    return b'{"points":[' + b",".join(parts) + b"]}"


def _point(point: BulkPoint) -> dict[str, Any]:
    vectors: dict[str, Any] = {name: _numbers(vector) for name, vector in point.vectors.items()}
    for name, (indices, values) in point.sparse.items():
        vectors[name] = {"indices": list(indices), "values": list(values)}
    return {"id": point.id, "vector": vectors, "payload": dict(point.payload)}


def _numbers(vector: Vector) -> list[Any]:
    rounded: list[Any] = np.round(vector.astype(np.float64), DIGITS).tolist()
    return rounded


def _told(reply: httpx.Response) -> str:
    """What the server says is wrong; a proxy in between may say it in another form."""
    try:
        return str(reply.json()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {reply.status_code}"
