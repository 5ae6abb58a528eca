"""Retrieval: from the vectors of a query to points of one collection. The same calls for a server and our store."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import numpy as np
from qdrant_client import AsyncQdrantClient, models

from ingest.collections import layout
from ingest.collections.contents import Part
from ingest.qdrant.failures import store_failures
from ingest.search import filters
from ingest.search.found import Found, found
from ingest.search.fusion import RANK_K
from ingest.search.prefetch import prefetched
from ingest.search.query_vectors import merged
from jobs.errors import InvalidInput
from jobs.search.query import PageFilter

Rows = np.ndarray[Any, np.dtype[np.float32]]

Words = tuple[Sequence[int], Sequence[float]]
"""A query's words: indices and weights of the sparse vector."""

MAX_PATHS = 100_000
"""So many paths are compared with a pattern."""

MAX_VECTORS = 128
"""Of a query, which is more than a text needs; the vectors of an image would occupy the store for seconds."""

TILES_VECTORS, REGIONS_VECTORS = 12, 8
"""Of a query among tiles and among regions: the search takes less, and chose hardly worse in `bench --only vectors`."""

FUSED_PER_HIT, FUSED_LEAST = 5, 50
"""From each of two lists that are joined by rank."""


class Wanted(msgspec.Struct, frozen=True):
    """What is wanted of one search."""

    limit: int = 10
    """Most hits or, with group_size, most documents."""
    filter: models.Filter | None = None
    group_size: int = 0
    """Most hits of one document. 0: hits do not depend on each other."""
    min_score: float | None = None

    @property
    def hits(self) -> int:
        """Most that can come back."""
        return self.limit * max(1, self.group_size)


class Retrieval:
    """Every method raises StoreUnavailable and UnknownCollection; hits come best first."""

    def __init__(self, client: AsyncQdrantClient) -> None:
        self._client = client

    async def visual(self, part: Part, query: Rows, wanted: Wanted, *, exact: bool = False) -> list[Found]:
        """Pages by the sum of each query vector's best cosine (MaxSim). query: (vectors, dimension), of unit length.

        exact: every page is scored. Otherwise those that a search among their tiles has chosen, and of very many pages
        only those get there that a search among their regions has chosen. A query of very many vectors, as that of an
        image, is made shorter for all.
        """
        rows = merged(query, MAX_VECTORS).tolist()
        with store_failures(part.collection):
            points = await self._client.count(part.stored, wanted.filter, exact=False)
        prefetch = None
        if not exact and (pages := prefetched(points.count, wanted.hits)):
            if pages.by_regions is not None and part.has_regions:
                few = merged(query, REGIONS_VECTORS)
                prefetch = _first(few, layout.REGIONS, pages.by_regions, wanted, prefetch)
            few = merged(query, TILES_VECTORS)
            prefetch = _first(few, layout.TILES, pages.by_tiles, wanted, prefetch)
        return await self._query(part, wanted, rows, layout.PATCHES, prefetch)

    async def text(self, part: Part, query: Rows, wanted: Wanted) -> list[Found]:
        """Chunks by cosine. query: (dimension,)."""
        return await self._query(part, wanted, query.tolist(), layout.DENSE)

    async def keywords(self, part: Part, words: Words, wanted: Wanted) -> list[Found]:
        """Chunks by BM25. None, where the query has no words."""
        if not words[0]:
            return []
        return await self._query(part, wanted, _sparse(words), layout.BM25)

    async def hybrid(self, part: Part, query: Rows, words: Words, wanted: Wanted) -> list[Found]:
        """Chunks by the sum of their reciprocal ranks in both of the lists above."""
        limit = max(FUSED_LEAST, FUSED_PER_HIT * wanted.hits)
        prefetch = [
            models.Prefetch(query=query.tolist(), using=layout.DENSE, limit=limit, filter=wanted.filter)
        ]
        if words[0]:
            sparse = _sparse(words)
            prefetch.append(
                models.Prefetch(query=sparse, using=layout.BM25, limit=limit, filter=wanted.filter)
            )
        by_rank = models.RrfQuery(rrf=models.Rrf(k=RANK_K))
        return await self._query(part, wanted, by_rank, None, prefetch)

    async def points(self, part: Part, given: PageFilter) -> models.Filter | None:
        """The points that the filter lets pass; None for all. Raises: InvalidInput."""
        must: list[Any] = []
        if given.documents:
            must.append(filters.of_documents(given.documents))
        if given.first_page is not None or given.last_page is not None:
            must.append(filters.in_pages(given.first_page, given.last_page))
        if given.paths:
            fitting = [await self._at(part, pattern) for pattern in given.paths]
            must.append(models.Filter(should=fitting))
        return models.Filter(must=must) if must else None

    async def _at(self, part: Part, pattern: str) -> Any:
        """The condition that a path fits the pattern. Qdrant knows prefixes; the rest is matched here."""
        parted = filters.path_pattern(pattern)
        if parted.is_exact:
            return filters.at_path(parted.prefix)
        if parted.is_prefix:
            return filters.under(parted.prefix)
        begins = models.Filter(must=[filters.under(parted.prefix)]) if parted.prefix else None
        with store_failures(part.collection):
            there = await self._client.facet(part.stored, layout.PATHS, begins, limit=MAX_PATHS, exact=True)
        if len(there.hits) == MAX_PATHS:
            raise InvalidInput(
                f"Too many paths may fit the pattern {pattern!r}: begin it with a folder.", param="filter"
            )
        whole = f"{pattern}*" if pattern.endswith("/") else pattern
        fitting = [f"{hit.value}" for hit in there.hits if fnmatchcase(f"{hit.value}", whole)]
        return filters.at_paths(fitting) if fitting else filters.NONE

    async def _query(
        self,
        part: Part,
        wanted: Wanted,
        query: Any,
        using: str | None,
        prefetch: models.Prefetch | list[models.Prefetch] | None = None,
    ) -> list[Found]:
        given: Any = {
            "query": query,
            "using": using,
            "prefetch": prefetch,
            "limit": wanted.limit,
            "query_filter": wanted.filter,
            "score_threshold": wanted.min_score,
            "with_payload": True,
        }
        with store_failures(part.collection):
            if not wanted.group_size:
                reply = await self._client.query_points(part.stored, **given)
                return [found(part.collection, part.kind, hit) for hit in reply.points]
            groups = await self._client.query_points_groups(
                part.stored, group_by=layout.DOCUMENT, group_size=wanted.group_size, **given
            )
        hits = [found(part.collection, part.kind, hit) for group in groups.groups for hit in group.hits]
        return sorted(hits, key=lambda hit: -hit.score)


def _first(
    query: Rows, using: str, limit: int, wanted: Wanted, before: models.Prefetch | None
) -> models.Prefetch:
    """A stage before the exact one. before: the stage that hands it its pages; None: it looks at all."""
    return models.Prefetch(
        query=query.tolist(), using=using, limit=limit, filter=wanted.filter, prefetch=before
    )


def _sparse(words: Words) -> models.SparseVector:
    indices, values = words
    return models.SparseVector(indices=list(indices), values=list(values))
