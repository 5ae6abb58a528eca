"""Storing points in a Qdrant server by gRPC. numpy packs the rows as protobuf has them: Python touches no number."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import grpc as grpc_library
import numpy as np
from qdrant_client import QdrantClient, grpc
from qdrant_client.conversions.conversion import json_to_value

from ingest.qdrant.bulk import BulkPoint, UpsertFailed, Vector, batches
from ingest.qdrant.connect import API_KEY, TIMEOUT_S
from jobs.search.errors import StoreUnavailable

GRPC_PORT = 6334
"""A Qdrant server's own choice."""

AWAY = (
    grpc_library.StatusCode.UNAVAILABLE,
    grpc_library.StatusCode.DEADLINE_EXCEEDED,
    grpc_library.StatusCode.RESOURCE_EXHAUSTED,
)

_FIRST_FIELD = b"\x0a"
"""Before a field of bytes with the number 1, as all of those here are."""


class GrpcWriter:
    """A BulkWriter."""

    def __init__(self, url: str, port: int = GRPC_PORT) -> None:
        key = os.environ.get(API_KEY)
        self._client = QdrantClient(url=url, grpc_port=port, api_key=key, check_compatibility=False)
        self._upsert: Any = self._client.grpc_points.Upsert  # pyright: ignore[reportUnknownMemberType]: made by protoc

    def close(self) -> None:
        self._client.close()

    def upsert(self, collection: str, points: Sequence[BulkPoint]) -> None:
        """Raises: UpsertFailed, StoreUnavailable."""
        for batch in batches(points):
            request = grpc.UpsertPoints(
                collection_name=collection, wait=True, points=[_point(each) for each in batch]
            )
            try:
                self._upsert(request, timeout=TIMEOUT_S)
            except grpc_library.RpcError as error:
                call: Any = error
                if call.code() in AWAY:
                    raise StoreUnavailable(f"The Qdrant server does not answer: {call.details()}.") from error
                raise UpsertFailed(call.details()) from error


def _point(point: BulkPoint) -> grpc.PointStruct:
    vectors = {name: _dense(vector) for name, vector in point.vectors.items()}
    for name, (indices, values) in point.sparse.items():
        vectors[name] = grpc.Vector(sparse=grpc.SparseVector(indices=indices, values=values))
    return grpc.PointStruct(
        id=grpc.PointId(uuid=point.id),
        vectors=grpc.Vectors(vectors=grpc.NamedVectors(vectors=vectors)),
        payload=_payload(point.payload),
    )


def _payload(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json_to_value(value) for name, value in payload.items()}


def _dense(vector: Vector) -> grpc.Vector:
    made = grpc.Vector()
    if vector.ndim == 1:
        made.dense.MergeFromString(packed_row(vector))
    else:
        made.multi_dense.MergeFromString(packed_rows(vector))
    return made


def packed_row(row: Vector) -> bytes:
    """A DenseVector: one packed field of little-endian float32. row: (dimension,)."""
    data = row.astype("<f4").tobytes()
    return _FIRST_FIELD + _varint(len(data)) + data


def packed_rows(rows: Vector) -> bytes:
    """A MultiDenseVector: a DenseVector for each row. All are equally long: the same bytes go before each."""
    count, dimension = rows.shape
    row_bytes = 4 * dimension
    before = _FIRST_FIELD + _varint(row_bytes)
    before = _FIRST_FIELD + _varint(len(before) + row_bytes) + before
    packed = np.empty((count, len(before) + row_bytes), np.uint8)
    packed[:, : len(before)] = np.frombuffer(before, np.uint8)
    packed[:, len(before) :] = np.ascontiguousarray(rows, "<f4").view(np.uint8)
    return packed.tobytes()


def _varint(number: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first; all but the last have the eighth bit."""
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
