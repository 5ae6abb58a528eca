"""Points as ingest makes them: vectors and payload, with the ID that makes storing them again harmless."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from ingest.collections import layout
from ingest.collections.tiles import regions, tiles
from ingest.qdrant.bulk import BulkPoint, Vector
from jobs.embed import PatchGrid

MAX_FLOATS = 1 << 20
"""Rows times dimension of a multi-vector stay below this, on a Qdrant server and in our store."""


class VectorsUnusable(Exception):
    """Vectors that must not be stored; the message says why, and what to do."""


class PageFacts(msgspec.Struct, frozen=True):
    """Of the page that a visual point is."""

    document: str
    """SHA-256 of the file's content, in hex."""
    paths: tuple[str, ...]
    page: int
    """Counts from 1."""
    label: str
    ingested_at: str
    """ISO 8601, in UTC."""


class ChunkFacts(msgspec.Struct, frozen=True):
    """Of the chunk that a text point is, and of the page where it starts."""

    document: str
    paths: tuple[str, ...]
    page: int
    label: str
    ingested_at: str
    chunk: int
    """Its number in the document (`Chunk.number`), by which chunks are in order."""
    text: str
    heading: str
    start: int
    end: int
    """Its first character in the page's text, and the one after its last."""


def visual_point(facts: PageFacts, vectors: Vector, grids: Sequence[PatchGrid]) -> BulkPoint:
    """vectors: (rows, dimension) of unit length. grids: where among them the image's patches are.

    Raises: VectorsUnusable.
    """
    where = f"page {facts.page} of {facts.document[:12]}"
    _check(vectors, 2, where)
    rows = vectors.astype(np.float32)
    named = {layout.PATCHES: vectors, layout.TILES: tiles(rows, grids), layout.REGIONS: regions(rows, grids)}
    return BulkPoint(
        layout.page_id(facts.document, facts.page),
        {name: each.astype(np.float16) for name, each in named.items()},
        {**_payload(facts), layout.GRIDS: [[grid.first, grid.rows, grid.columns] for grid in grids]},
    )


def text_point(facts: ChunkFacts, dense: Vector, words: tuple[Sequence[int], Sequence[float]]) -> BulkPoint:
    """dense: (dimension,). words: indices and weights of BM25. Raises: VectorsUnusable."""
    _check(dense, 1, f"chunk {facts.chunk} of {facts.document[:12]}")
    return BulkPoint(
        layout.chunk_id(facts.document, facts.chunk),
        {layout.DENSE: dense.astype(np.float32)},
        _payload(facts),
        {layout.BM25: words},
    )


def _payload(facts: PageFacts | ChunkFacts) -> dict[str, Any]:
    return {**msgspec.structs.asdict(facts), layout.PATHS: list(facts.paths)}


def _check(vectors: Vector, dimensions: int, where: str) -> None:
    if vectors.ndim != dimensions or not vectors.size:
        raise VectorsUnusable(f"The vectors of {where} have the shape {vectors.shape}.")
    if vectors.size >= MAX_FLOATS:
        raise VectorsUnusable(
            f"The vectors of {where} are {vectors.shape[0]} rows of {vectors.shape[1]}: rows times dimension must be "
            f"below {MAX_FLOATS}. Lower the pixels of a page."
        )
    if not np.isfinite(vectors).all():
        raise VectorsUnusable(
            f"The vectors of {where} hold NaN or infinite numbers: the model computed them wrongly."
        )
