"""Where on a page the words of a query are: cosines between the query's vectors and those of the page's patches."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from qdrant_client import AsyncQdrantClient

from ingest.collections import layout
from ingest.collections.contents import Part
from ingest.collections.layout import page_id
from ingest.qdrant.failures import store_failures
from ingest.queries.embedding import QueryEmbedder, Rows
from jobs.embed import PatchGrid
from jobs.search.documents import PageRef
from jobs.search.errors import UnknownDocument
from jobs.search.reply import Heatmap, WordMap

MAX_WORDS = 32
"""Of a longer query it is not told which map is which word's."""

SAME = 1e-3
"""Vectors that differ less are of the same tokens with the same ones before them."""


class Heatmaps:
    """Of pages in visual collections."""

    def __init__(self, client: AsyncQdrantClient, embedder: QueryEmbedder) -> None:
        self._client = client
        self._embedder = embedder

    async def heatmap(self, part: Part, page: PageRef, text: str) -> Heatmap:
        """part: of the page's collection, visual. Raises UnknownDocument, and what the embedder raises."""
        patches, grid = await self._patches(part.stored, page)
        words = text.split()
        query = " ".join(words)
        if len(words) > MAX_WORDS:
            rows = await self._embedder.embed(part.maker, query)
            return _heatmap(rows @ patches.T, [("", slice(at, at + 1)) for at in range(len(rows))], grid)
        texts = [query, *probes(words)]
        rows, *probed = await self._embedder.embed_all(part.maker, texts)
        return _heatmap(rows @ patches.T, parts_of(words, rows, probed), grid)

    async def _patches(self, stored: str, page: PageRef) -> tuple[Rows, PatchGrid]:
        """The vectors of the page's first image, (rows * columns, dimension)."""
        with store_failures(page.collection):
            found = await self._client.retrieve(
                stored,
                [page_id(page.document, page.page)],
                with_payload=[layout.GRIDS],
                with_vectors=[layout.PATCHES],
            )
        payload = (found[0].payload or {}) if found else {}
        if not payload.get(layout.GRIDS):
            raise UnknownDocument(
                f"The collection {page.collection!r} has no image of page {page.page} of this document."
            )
        grid = PatchGrid(*payload[layout.GRIDS][0])
        vectors: Any = found[0].vector
        patches = np.asarray(vectors[layout.PATCHES], np.float32)
        return patches[grid.first : grid.first + grid.rows * grid.columns], grid


def probes(words: Sequence[str]) -> list[str]:
    """Texts whose numbers of vectors tell which of the query's are which word's: see `parts_of`."""
    other = "x" if words[0][:1] != "x" else "y"
    return [
        other,
        f"{words[0]} {words[0]}",
        *(" ".join(words[: count + 1]) for count in range(len(words))),
    ]


def parts_of(words: Sequence[str], rows: Rows, probed: Sequence[Rows]) -> list[tuple[str, slice]]:
    """Each word with its vectors; where that cannot be told, each vector without a word.

    rows: of the query. probed: of the probes. A model puts some tokens before every query, whose vectors do not change
    with what follows, and some behind it. In between a word has as many as the query grows by with it.
    """
    other, twice, *beginnings = probed
    shorter = min(len(rows), len(other))
    alike = np.abs(rows[:shorter] - other[:shorter]).max(axis=1) < SAME
    before = int(alike.argmin()) if not alike.all() else shorter
    first = len(twice) - len(beginnings[0])
    counts = [first, *(len(one) - len(last) for last, one in pairwise(beginnings))]
    if min(counts) < 1 or before + sum(counts) > len(rows):
        return [("", slice(at, at + 1)) for at in range(len(rows))]
    ends = before + np.cumsum(counts)
    return [(word, slice(end - count, end)) for word, count, end in zip(words, counts, ends, strict=True)]


def _heatmap(cosines: Rows, parts: Sequence[tuple[str, slice]], grid: PatchGrid) -> Heatmap:
    """cosines: (the query's vectors, patches). A word's map has the highest of its vectors' at each place."""
    maps = [
        WordMap(word, tuple(map(tuple, cosines[own].max(axis=0).reshape(grid.rows, grid.columns).tolist())))
        for word, own in parts
    ]
    return Heatmap(grid.rows, grid.columns, tuple(maps))
