"""Points in the bodies of requests: Qdrant's JSON, or msgpack with the bytes of arrays, far cheaper."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
import numpy as np
from pydantic import TypeAdapter
from qdrant_client import models

from ingest.qdrant.packed import PackedArray, PackedPoint
from ingest.store.collection import Collection, NewPoint
from ingest.store.refused import BAD_REQUEST, UNPROCESSABLE, Refused, refuse_set
from ingest.store.translate.filters import point_id

_DTYPES = ("<f2", "<f4")

_operations: TypeAdapter[models.PointInsertOperations] = TypeAdapter(models.PointInsertOperations)


PackedPoints = list[PackedPoint]

_unpack = msgspec.msgpack.Decoder(PackedPoints)


def upsert_json(collection: Collection, body: bytes) -> None:
    """Qdrant's own body of an upsert. Raises Refused, pydantic.ValidationError."""
    upsert(collection, _operations.validate_json(body))


def upsert(collection: Collection, given: models.PointInsertOperations) -> None:
    """All of the points, or none. Raises Refused."""
    refuse_set(given, "shard_key")
    structs = given.points if isinstance(given, models.PointsList) else _unbatched(given.batch)
    check = collection.check
    points = [NewPoint(point_id(each.id), check.point(each.vector), each.payload or {}) for each in structs]
    collection.upsert(points, given.update_filter, given.update_mode)


def upsert_packed(collection: Collection, body: bytes) -> None:
    """PackedPoints. All of the points, or none. Raises Refused, msgspec.MsgspecError."""
    points = [
        NewPoint(point_id(each.id), _vectors(collection, each), each.payload) for each in _unpack.decode(body)
    ]
    collection.upsert(points, None, None)


def point_vectors(
    collection: Collection, given: Sequence[models.PointVectors]
) -> Iterable[tuple[Any, dict[str, Any]]]:
    """(id, checked vectors by name). Raises Refused."""
    return [(point_id(each.id), collection.check.point(each.vector)) for each in given]


def _vectors(collection: Collection, point: PackedPoint) -> dict[str, Any]:
    named: dict[str, Any] = {name: _array(name, packed) for name, packed in point.vectors.items()}
    for name, (indices, values) in point.sparse.items():
        named[name] = models.SparseVector(
            indices=np.frombuffer(indices, "<u4").tolist(), values=np.frombuffer(values, "<f4").tolist()
        )
    return collection.check.point(named)


def _array(name: str, packed: PackedArray) -> Any:
    if packed.dtype not in _DTYPES:
        raise Refused(
            BAD_REQUEST,
            f"The vector {name!r} has the dtype {packed.dtype!r}: use one of {', '.join(_DTYPES)}.",
        )
    try:
        return np.frombuffer(packed.data, packed.dtype).reshape(packed.shape)
    except ValueError as error:
        raise Refused(
            BAD_REQUEST, f"The bytes of the vector {name!r} do not fit its shape: {error}."
        ) from None


def _unbatched(batch: models.Batch) -> list[models.PointStruct]:
    count = len(batch.ids)
    vectors: Any = batch.vectors
    columns = cast("dict[str, list[Any]]", vectors if isinstance(vectors, dict) else {"": vectors})
    if any(len(column) != count for column in columns.values()) or (
        batch.payloads and len(batch.payloads) != count
    ):
        raise Refused(
            UNPROCESSABLE, f"The batch has {count} ids: there must be as many vectors and payloads."
        )
    return [
        models.PointStruct(
            id=batch.ids[n],
            vector={name: column[n] for name, column in columns.items()},
            payload=batch.payloads[n] if batch.payloads else None,
        )
        for n in range(count)
    ]
