"""What can be asked of one collection: each request's body, and the reply's result."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import qdrant_edge as edge
from pydantic import BaseModel, TypeAdapter
from qdrant_client import models

from ingest.qdrant.packed import PACKED
from ingest.store import points, replies
from ingest.store.collection import Collection
from ingest.store.refused import NOT_FOUND, UNPROCESSABLE, Refused, not_here, refuse_set
from ingest.store.translate.filters import edge_filter, point_id
from ingest.store.translate.schema import index_schema

M = TypeVar("M", bound=BaseModel)

_selector: TypeAdapter[models.PointsSelector] = TypeAdapter(models.PointsSelector)


Run = Callable[[Collection, bytes], Any]


class Operation(NamedTuple):
    """run: gives the result of the reply."""

    run: Run
    is_write: bool = False


def _read(model: type[M], answer: Callable[[Collection, M], Any]) -> Operation:
    def run(collection: Collection, body: bytes) -> Any:
        return answer(collection, model.model_validate_json(body))

    return Operation(run)


def _write(model: type[M], change: Callable[[Collection, M], None]) -> Operation:
    def run(collection: Collection, body: bytes) -> None:
        change(collection, model.model_validate_json(body))

    return Operation(run, is_write=True)


def _change(
    collection: Collection,
    given: models.PointsSelector | models.SetPayload | models.DeletePayload | models.DeleteVectors,
    by_ids: Callable[[list[Any]], edge.UpdateOperation],
    by_filter: Callable[[edge.Filter], edge.UpdateOperation],
) -> None:
    """Change the points that are named, or those that pass the filter. Raises Refused where neither is given."""
    refuse_set(given, "shard_key")
    ids: list[Any] | None = getattr(given, "points", None)
    if ids is not None:
        collection.update(by_ids([point_id(each) for each in ids]))
        return
    chosen = edge_filter(getattr(given, "filter", None))
    if chosen is None:
        raise Refused(UNPROCESSABLE, "Say which points are meant: by `points` or by `filter`.")
    collection.update(by_filter(chosen))


def _delete(collection: Collection, given: models.PointsSelector) -> None:
    update = edge.UpdateOperation
    _change(collection, given, update.delete_points, update.delete_points_by_filter)


def _clear_payload(collection: Collection, given: models.PointsSelector) -> None:
    update = edge.UpdateOperation
    _change(collection, given, update.clear_payload, update.clear_payload_by_filter)


def _set_payload(collection: Collection, given: models.SetPayload) -> None:
    update, payload, key = edge.UpdateOperation, given.payload, given.key
    _change(
        collection,
        given,
        lambda ids: update.set_payload(ids, payload, key),
        lambda chosen: update.set_payload_by_filter(chosen, payload, key),
    )


def _overwrite_payload(collection: Collection, given: models.SetPayload) -> None:
    update, payload, key = edge.UpdateOperation, given.payload, given.key
    _change(
        collection,
        given,
        lambda ids: update.overwrite_payload(ids, payload, key),
        lambda chosen: update.overwrite_payload_by_filter(chosen, payload, key),
    )


def _delete_payload(collection: Collection, given: models.DeletePayload) -> None:
    update, names = edge.UpdateOperation, given.keys
    _change(
        collection,
        given,
        lambda ids: update.delete_payload(ids, names),
        lambda chosen: update.delete_payload_by_filter(chosen, names),
    )


def _delete_vectors(collection: Collection, given: models.DeleteVectors) -> None:
    update, names = edge.UpdateOperation, given.vector
    _change(
        collection,
        given,
        lambda ids: update.delete_vectors(ids, names),
        lambda chosen: update.delete_vectors_by_filter(chosen, names),
    )


def _update_vectors(collection: Collection, given: models.UpdateVectors) -> None:
    refuse_set(given, "shard_key")
    changed: Any = [edge.PointVectors(*each) for each in points.point_vectors(collection, given.points)]  # pyright: ignore[reportArgumentType]: arrays are vectors
    collection.update(edge.UpdateOperation.update_vectors(changed, edge_filter(given.update_filter)))


def _create_index(collection: Collection, given: models.CreateFieldIndex) -> None:
    if given.field_schema is None:
        raise Refused(
            UNPROCESSABLE, "Say of which kind the index is to be: `field_schema`, such as `keyword`."
        )
    collection.update(
        edge.UpdateOperation.create_field_index(given.field_name, index_schema(given.field_schema))
    )


def _batch(collection: Collection, given: models.UpdateOperations) -> list[Any]:
    for operation in given.operations:
        match operation:
            case models.UpsertOperation():
                points.upsert(collection, operation.upsert)
            case models.DeleteOperation():
                _delete(collection, operation.delete)
            case models.SetPayloadOperation():
                _set_payload(collection, operation.set_payload)
            case models.OverwritePayloadOperation():
                _overwrite_payload(collection, operation.overwrite_payload)
            case models.DeletePayloadOperation():
                _delete_payload(collection, operation.delete_payload)
            case models.ClearPayloadOperation():
                _clear_payload(collection, operation.clear_payload)
            case models.UpdateVectorsOperation():
                _update_vectors(collection, operation.update_vectors)
            case models.DeleteVectorsOperation():
                _delete_vectors(collection, operation.delete_vectors)
    return [None] * len(given.operations)


def _run_batch(collection: Collection, body: bytes) -> list[Any]:
    return _batch(collection, models.UpdateOperations.model_validate_json(body))


def _scroll(collection: Collection, given: models.ScrollRequest) -> dict[str, Any]:
    records, following = collection.scroll(given)
    return {"points": [replies.record(each) for each in records], "next_page_offset": following}


def _query(collection: Collection, given: models.QueryRequest) -> dict[str, Any]:
    return {"points": [replies.scored(each) for each in collection.query(given)]}


def _by_selector(change: Callable[[Collection, models.PointsSelector], None]) -> Operation:
    def run(collection: Collection, body: bytes) -> None:
        change(collection, _selector.validate_json(body))

    return Operation(run, is_write=True)


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("PUT", "points"): Operation(points.upsert_json, is_write=True),
    ("POST", "points"): _read(
        models.PointRequest,
        lambda collection, given: [replies.record(each) for each in collection.retrieve(given)],
    ),
    ("POST", "points/delete"): _by_selector(_delete),
    ("POST", "points/scroll"): _read(models.ScrollRequest, _scroll),
    ("POST", "points/count"): _read(
        models.CountRequest, lambda collection, given: {"count": collection.count(given)}
    ),
    ("POST", "points/query"): _read(models.QueryRequest, _query),
    ("POST", "points/query/batch"): _read(
        models.QueryRequestBatch,
        lambda collection, given: [_query(collection, each) for each in given.searches],
    ),
    ("POST", "points/query/groups"): _read(
        models.QueryGroupsRequest,
        lambda collection, given: replies.groups(collection.query_groups(given), given.with_payload),
    ),
    ("POST", "points/batch"): Operation(_run_batch, is_write=True),
    ("POST", "points/payload"): _write(models.SetPayload, _set_payload),
    ("PUT", "points/payload"): _write(models.SetPayload, _overwrite_payload),
    ("POST", "points/payload/delete"): _write(models.DeletePayload, _delete_payload),
    ("POST", "points/payload/clear"): _by_selector(_clear_payload),
    ("PUT", "points/vectors"): _write(models.UpdateVectors, _update_vectors),
    ("POST", "points/vectors/delete"): _write(models.DeleteVectors, _delete_vectors),
    ("PUT", "index"): _write(models.CreateFieldIndex, _create_index),
    ("POST", "facet"): _read(
        models.FacetRequest,
        lambda collection, given: {
            "hits": [{"value": hit.value, "count": hit.count} for hit in collection.facet(given)]
        },
    ),
}
"""By method and the path behind /collections/NAME/."""


def operation(method: str, path: str, content_type: str) -> Operation:
    """Raises Refused for what the store does not have."""
    if (method, path) == ("PUT", "points") and content_type.startswith(PACKED):
        return Operation(points.upsert_packed, is_write=True)
    if method == "GET" and path.startswith("points/"):
        return _point(path.removeprefix("points/"))
    if method == "DELETE" and path.startswith("index/"):
        return _delete_index(path.removeprefix("index/"))
    found = OPERATIONS.get((method, path))
    if found is None:
        raise not_here(f"{method} /collections/NAME/{path}")
    return found


def _point(raw: str) -> Operation:
    def run(collection: Collection, _: bytes) -> dict[str, Any]:
        wanted = point_id(int(raw) if raw.isdigit() else raw)
        found = collection.retrieve(models.PointRequest(ids=[wanted], with_payload=True, with_vector=True))
        if not found:
            raise Refused(NOT_FOUND, f"Not found: Point with id {wanted} does not exists!")
        return replies.record(found[0])

    return Operation(run)


def _delete_index(field: str) -> Operation:
    def run(collection: Collection, _: bytes) -> None:
        collection.update(edge.UpdateOperation.delete_field_index(field))

    return Operation(run, is_write=True)
