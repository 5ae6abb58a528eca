"""Searches, as Qdrant's client sends them, in the terms of qdrant-edge."""

from collections.abc import Callable
from typing import Any

import numpy as np
import qdrant_edge as edge
from qdrant_client import models

from ingest.store.refused import BAD_REQUEST, Refused, not_here, refuse_set
from ingest.store.translate.filters import PointId, edge_filter, point_id, without
from ingest.store.translate.vectors import VectorCheck

DEFAULT_LIMIT = 10
MAX_LIMIT = 1 << 31
RRF_K = 2
"""A Qdrant server's default."""

VectorOf = Callable[[PointId, str], Any]
"""(id, vector's name): the vector that a point has. Raises Refused where there is none."""


class QueryTranslator:
    """Of one collection."""

    def __init__(self, check: VectorCheck, vector_of: VectorOf) -> None:
        self._check = check
        self._vector_of = vector_of

    def request(
        self, given: models.QueryRequest | models.QueryGroupsRequest, *, limit: int, offset: int = 0
    ) -> edge.QueryRequest:
        """The whole search. Raises Refused."""
        refuse_set(given, "shard_key", "lookup_from")
        return edge.QueryRequest(
            limit=limit,
            offset=offset,
            query=self._query(given.query, given.using),
            prefetches=self._prefetches(given.prefetch),
            with_vector=given.with_vector or False,
            with_payload=payload_selector(given.with_payload, default=False),
            filter=self._filter(given),
            score_threshold=given.score_threshold,
            params=_params(given.params),
        )

    def _prefetches(
        self, given: list[models.Prefetch] | models.Prefetch | None
    ) -> list[edge.Prefetch] | None:
        if given is None:
            return None
        return [self._prefetch(each) for each in (given if isinstance(given, list) else [given])]

    def _prefetch(self, given: models.Prefetch) -> edge.Prefetch:
        refuse_set(given, "lookup_from")
        return edge.Prefetch(
            limit=checked_limit(given.limit),
            query=self._query(given.query, given.using),
            prefetches=self._prefetches(given.prefetch),
            params=_params(given.params),
            filter=self._filter(given),
            score_threshold=given.score_threshold,
        )

    def _filter(self, given: models.QueryRequest | models.QueryGroupsRequest | models.Prefetch) -> Any:
        """A search by a point's ID does not find that point."""
        found = edge_filter(given.filter)
        wanted = given.query.nearest if isinstance(given.query, models.NearestQuery) else given.query
        return without([point_id(wanted)], found) if _is_id(wanted) else found

    def _query(self, given: Any, using: str | None) -> Any:
        match given:
            case None:
                return None
            case models.NearestQuery():
                refuse_set(given, "mmr")
                return self._query(given.nearest, using)
            case models.FusionQuery():
                return edge.Fusion.Rrf(RRF_K) if given.fusion == models.Fusion.RRF else edge.Fusion.Dbsf()
            case models.RrfQuery():
                return edge.Fusion.Rrf(given.rrf.k or RRF_K, given.rrf.weights)
            case models.OrderByQuery():
                return order_by(given.order_by)
            case models.SampleQuery():
                return edge.Sample.Random
            case list() | np.ndarray() | models.SparseVector():
                return _nearest(self._check.query(using, given), using or "")
            case _ if _is_id(given):
                name = using or ""
                stored = self._vector_of(point_id(given), name)
                vector = stored if isinstance(stored, edge.SparseVector) else np.asarray(stored, np.float32)
                return _nearest(vector, name)
            case models.Document() | models.Image() | models.InferenceObject():
                raise not_here("models of its own: send vectors, such as those of POST /v1/embeddings")
            case _:
                raise not_here(f"searches of the kind {type(given).__name__}")


def _nearest(vector: Any, name: str) -> edge.Query:
    return edge.Query.Nearest(vector, using=name)


def order_by(given: models.OrderByInterface) -> edge.OrderBy:
    """A field's name, or one with direction and start."""
    if isinstance(given, str):
        return edge.OrderBy(given)
    start = given.start_from
    return edge.OrderBy(
        given.key,
        direction=getattr(edge.Direction, given.direction.value.capitalize()) if given.direction else None,
        start_from=start if start is None or isinstance(start, int | float | str) else start.isoformat(),
    )


def payload_selector(given: models.WithPayloadInterface | None, *, default: bool) -> Any:
    """Which fields of payloads are wanted. default: where nothing is said."""
    match given:
        case None:
            return default
        case models.PayloadSelectorInclude():
            return edge.PayloadSelector.Include(given.include)
        case models.PayloadSelectorExclude():
            return edge.PayloadSelector.Exclude(given.exclude)
        case _:
            return given


def checked_limit(limit: int | None) -> int:
    """How many are wanted. Raises Refused for none and fewer."""
    if limit is None:
        return DEFAULT_LIMIT
    if not 0 < limit < MAX_LIMIT:
        raise Refused(BAD_REQUEST, f"`limit` is {limit}: it must be at least 1.")
    return limit


def _is_id(given: Any) -> bool:
    return isinstance(given, int | str) or type(given).__name__ == "UUID"


def _params(given: models.SearchParams | None) -> edge.SearchParams | None:
    if given is None:
        return None
    refuse_set(given, "acorn", "idf")
    quantization = given.quantization
    return edge.SearchParams(
        hnsw_ef=given.hnsw_ef,
        exact=bool(given.exact),
        indexed_only=bool(given.indexed_only),
        quantization=edge.QuantizationSearchParams(
            ignore=bool(quantization.ignore),
            rescore=quantization.rescore,
            oversampling=quantization.oversampling,
        )
        if quantization
        else None,
    )
