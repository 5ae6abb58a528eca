"""Results as Qdrant's API has them: JSON, or msgpack with the bytes of arrays for whoever asks for vectors in bulk."""

import json
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import qdrant_edge as edge
from qdrant_client import models

from ingest.store.collection import Collection, plain_id
from ingest.store.translate.queries import payload_selector
from ingest.store.translate.schema import DEFAULT_EF, DEFAULT_FULL_SCAN, DEFAULT_M
from ingest.store.translate.vectors import plain


def record(found: edge.Record) -> dict[str, Any]:
    """A point that was asked for or scrolled to."""
    return {
        "id": plain_id(found.id),
        "payload": found.payload,
        "vector": found.vector,
        **({} if found.order_value is None else {"order_value": found.order_value}),
    }


def scored(found: edge.ScoredPoint) -> dict[str, Any]:
    """A point that a search found."""
    return {
        "id": plain_id(found.id),
        "version": found.version,
        "score": found.score,
        "payload": found.payload,
        "vector": found.vector,
        **({} if found.order_value is None else {"order_value": found.order_value}),
    }


def groups(
    found: Mapping[Any, list[edge.ScoredPoint]], wanted: models.WithPayloadInterface | None
) -> dict[str, Any]:
    """Groups with as much of their payloads as is wanted."""
    selected = payload_selector(wanted, default=False)
    return {
        "groups": [
            {
                "id": value,
                "hits": [{**scored(hit), "payload": _select(hit.payload, selected, wanted)} for hit in hits],
            }
            for value, hits in found.items()
        ]
    }


def _select(
    payload: dict[str, Any] | None, selected: Any, wanted: models.WithPayloadInterface | None
) -> dict[str, Any] | None:
    if payload is None or selected is False:
        return None
    match wanted:
        case list() | models.PayloadSelectorInclude():
            names = wanted if isinstance(wanted, list) else wanted.include
            return {name: value for name, value in payload.items() if name in names}
        case models.PayloadSelectorExclude():
            return {name: value for name, value in payload.items() if name not in wanted.exclude}
        case _:
            return payload


def collection_info(collection: Collection) -> dict[str, Any]:
    """Qdrant's CollectionInfo. The parts that only a server has are those of one that never does anything else."""
    info = collection.info()
    spec = json.loads(collection.spec.model_dump_json(exclude_none=True))
    params = {name: spec[name] for name in ("vectors", "sparse_vectors") if name in spec}
    graph = {"m": DEFAULT_M, "ef_construct": DEFAULT_EF, "full_scan_threshold": DEFAULT_FULL_SCAN}
    return {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": info.segments_count,
        "points_count": info.points_count,
        "indexed_vectors_count": info.indexed_vectors_count,
        "payload_schema": {
            name: {"data_type": f"{index.data_type}".rpartition(".")[2].lower(), "points": index.points}
            for name, index in info.payload_schema.items()
        },
        "config": {
            "params": {
                "shard_number": 1,
                "replication_factor": 1,
                "write_consistency_factor": 1,
                "on_disk_payload": spec.get("on_disk_payload", True),
                **params,
            },
            "hnsw_config": {**graph, **spec.get("hnsw_config", {})},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
            "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
            **{name: spec[name] for name in ("quantization_config", "metadata") if name in spec},
        },
    }


def as_json(value: Any) -> Any:
    """For msgspec's encoder: what JSON has no form for."""
    if isinstance(value, np.ndarray | edge.SparseVector | np.generic):
        return plain(value.item() if isinstance(value, np.generic) else value)
    return str(value)


def as_packed(value: Any) -> Any:
    """The same for msgpack: an array is {dtype, shape, data}."""
    if isinstance(value, np.ndarray):
        array = cast("np.ndarray[Any, np.dtype[Any]]", value)
        return {"dtype": array.dtype.str, "shape": array.shape, "data": np.ascontiguousarray(array).tobytes()}
    return as_json(value)
