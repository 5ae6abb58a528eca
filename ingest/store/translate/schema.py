"""What a collection is made of: Qdrant's description of it, in the terms of qdrant-edge."""

from collections.abc import Mapping
from typing import Any

import qdrant_edge as edge
from qdrant_client import models

from ingest.store.refused import not_here, refuse_set

DEFAULT_M, DEFAULT_EF, DEFAULT_FULL_SCAN = 16, 100, 10_000

NO_GRAPH = models.HnswConfigDiff(m=0)
"""Of every multi-vector. A graph over whole pages takes hours to build and finds nothing faster (qdrant#5702)."""

_INDEX_PARAMS: Mapping[type, tuple[Any, tuple[str, ...]]] = {
    models.KeywordIndexParams: (edge.KeywordIndexParams, ("is_tenant", "on_disk", "enable_hnsw", "prefix")),
    models.IntegerIndexParams: (
        edge.IntegerIndexParams,
        ("lookup", "range", "is_principal", "on_disk", "enable_hnsw"),
    ),
    models.FloatIndexParams: (edge.FloatIndexParams, ("is_principal", "on_disk", "enable_hnsw")),
    models.BoolIndexParams: (edge.BoolIndexParams, ("on_disk", "enable_hnsw")),
    models.DatetimeIndexParams: (edge.DatetimeIndexParams, ("is_principal", "on_disk", "enable_hnsw")),
    models.UuidIndexParams: (edge.UuidIndexParams, ("is_tenant", "on_disk", "enable_hnsw")),
    models.TextIndexParams: (
        edge.TextIndexParams,
        ("min_token_len", "max_token_len", "lowercase", "ascii_folding", "phrase_matching", "on_disk"),
    ),
}
"""The fields of each kind of payload index that have one name and type on both sides."""


def completed(given: models.CreateCollection) -> models.CreateCollection:
    """The collection as it will be made: no multi-vector gets a graph, whatever was asked for."""
    if given.vectors is None:
        return given
    if isinstance(given.vectors, models.VectorParams):
        return given.model_copy(update={"vectors": _completed(given.vectors)})
    named = {name: _completed(params) for name, params in given.vectors.items()}
    return given.model_copy(update={"vectors": named})


def _completed(params: models.VectorParams) -> models.VectorParams:
    return params.model_copy(update={"hnsw_config": NO_GRAPH}) if params.multivector_config else params


def dense_vectors(spec: models.CreateCollection) -> dict[str, models.VectorParams]:
    """By name; the unnamed one is ''."""
    given = spec.vectors or {}
    return {"": given} if isinstance(given, models.VectorParams) else dict(given)


def edge_config(
    spec: models.CreateCollection, optimizers: edge.EdgeOptimizersConfig | None = None
) -> edge.EdgeConfig:
    """Raises Refused for what qdrant-edge does not have. Hints that only concern the speed of a server are left out:
    shard_number and the like are 1 here, wal_config and optimizers_config have no meaning.
    """
    refuse_set(spec, "sharding_method", "strict_mode_config")
    for field in ("shard_number", "replication_factor", "write_consistency_factor"):
        if (getattr(spec, field) or 1) != 1:
            raise not_here(f"a `{field}` other than 1")
    dense = {name: _vector_params(params) for name, params in dense_vectors(spec).items()}
    sparse = {name: _sparse_params(params) for name, params in (spec.sparse_vectors or {}).items()}
    return edge.EdgeConfig(
        vectors=dense or None,
        sparse_vectors=sparse or None,
        hnsw_config=_hnsw(spec.hnsw_config),
        quantization_config=_quantization(spec.quantization_config),
        on_disk_payload=spec.on_disk_payload,
        optimizers=optimizers,
    )


def index_schema(given: models.PayloadFieldSchema) -> Any:
    """The kind of a payload index, with its parameters. Raises Refused."""
    if isinstance(given, models.PayloadSchemaType):
        return getattr(edge.PayloadSchemaType, given.value.capitalize())
    found = _INDEX_PARAMS.get(type(given))
    if found is None:
        raise not_here(f"payload indices of the kind {type(given).__name__}")
    build, fields = found
    others = set(type(given).model_fields) - {"type", "tokenizer", *fields}
    refuse_set(given, *sorted(others))
    arguments = {name: getattr(given, name) for name in fields}
    if isinstance(given, models.TextIndexParams) and given.tokenizer:
        arguments["tokenizer"] = getattr(edge.TokenizerType, given.tokenizer.value.capitalize())
    return build(**arguments)


def _vector_params(given: models.VectorParams) -> edge.EdgeVectorParams:
    return edge.EdgeVectorParams(
        given.size,
        getattr(edge.Distance, given.distance.value),
        on_disk=given.on_disk,
        memory=_memory(given.memory),
        multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        if given.multivector_config
        else None,
        datatype=_datatype(given.datatype),
        quantization_config=_quantization(given.quantization_config),
        hnsw_config=_hnsw(given.hnsw_config),
    )


def _sparse_params(given: models.SparseVectorParams) -> edge.EdgeSparseVectorParams:
    index = given.index or models.SparseIndexParams()
    return edge.EdgeSparseVectorParams(
        full_scan_threshold=index.full_scan_threshold,
        on_disk=index.on_disk,
        memory=_memory(index.memory),
        datatype=_datatype(index.datatype),
        modifier=edge.Modifier.Idf if given.modifier == models.Modifier.IDF else None,
    )


def _memory(given: models.Memory | None) -> Any:
    return getattr(edge.Memory, given.value.capitalize()) if given else None


def _datatype(given: models.Datatype | None) -> Any:
    if given is None:
        return None
    found = getattr(edge.VectorStorageDatatype, given.value.capitalize(), None)
    if found is None:
        raise not_here(f"the datatype {given.value}")
    return found


def _hnsw(given: models.HnswConfigDiff | None) -> edge.HnswIndexConfig | None:
    if given is None:
        return None
    return edge.HnswIndexConfig(
        m=DEFAULT_M if given.m is None else given.m,
        ef_construct=given.ef_construct or DEFAULT_EF,
        full_scan_threshold=given.full_scan_threshold or DEFAULT_FULL_SCAN,
        max_indexing_threads=given.max_indexing_threads or 0,
        on_disk=given.on_disk,
        payload_m=given.payload_m,
        inline_storage=given.inline_storage,
        memory=_memory(given.memory),
    )


def _quantization(given: models.QuantizationConfig | None) -> Any:
    match given:
        case None:
            return None
        case models.BinaryQuantization():
            refuse_set(given.binary, "encoding", "query_encoding")
            return edge.BinaryQuantizationConfig(
                always_ram=given.binary.always_ram, memory=_memory(given.binary.memory)
            )
        case models.ScalarQuantization():
            scalar = given.scalar
            return edge.ScalarQuantizationConfig(
                edge.ScalarType.Int8,
                quantile=scalar.quantile,
                always_ram=scalar.always_ram,
                memory=_memory(scalar.memory),
            )
        case models.ProductQuantization():
            product = given.product
            return edge.ProductQuantizationConfig(
                getattr(edge.CompressionRatio, product.compression.value.capitalize()),
                always_ram=product.always_ram,
                memory=_memory(product.memory),
            )
        case _:
            raise not_here(f"quantisation of the kind {type(given).__name__}")
