"""How a collection lies in Qdrant: names, vectors, payload, the points' IDs. Ingest and search rest on it alike."""

import uuid
from typing import Literal, get_args

Kind = Literal["visual", "text"]
"""visual: a point for each page, from its image. text: a point for each chunk of text."""

KINDS: tuple[Kind, ...] = get_args(Kind)

DEFAULT_COLLECTION = "documents"

PATCHES, TILES, REGIONS = "patches", "tiles", "regions"
"""Vectors of a visual point, each (rows, dimension): all of the page's, and means of few and of more neighbours, which
are searched first.
"""

DENSE, BM25 = "dense", "bm25"
"""Vectors of a text point: the model's, of unit length, and the sparse one of its words."""

DOCUMENT, PATHS, PAGE, LABEL, INGESTED_AT = "document", "paths", "page", "label", "ingested_at"
"""The payload of every point: SHA-256 (hex) of the file's content, where it lies (a list), number from 1, what the
document calls the page, time in ISO 8601 (UTC).
"""

GRIDS = "grids"
"""Besides, of a visual point: [first, rows, columns] of each image of the page (PatchGrid), for maps of the patches."""

CHUNK, TEXT, HEADING, START, END = "chunk", "text", "heading", "start", "end"
"""Besides, of a text point: number from 0 in its document, the text, the heading over it, its characters in the page's
text where it starts.
"""

_POINTS = uuid.UUID("6d1c7f0e-2a54-5b1b-9d67-0c4b8c2c5a11")


CURRENT = "current"
"""The alias of the generation that is searched ends so. Where there is none, the first one is."""


def stored_name(collection: str, kind: Kind, generation: str = "") -> str:
    """What Qdrant calls that half of a collection. generation: "" for the first; see generations.py."""
    return f"{collection}-{kind}@{generation}" if generation else f"{collection}-{kind}"


def parted_name(stored: str) -> tuple[str, Kind] | None:
    """Collection and kind of a name in Qdrant. None: it is not one of ours."""
    collection, _, kind = stored.rpartition("-")
    for each in KINDS:
        if kind == each and collection:
            return collection, each
    return None


def page_id(document: str, page: int) -> str:
    """The point of a page, the same whenever it is ingested."""
    return str(uuid.uuid5(_POINTS, f"{document} page {page}"))


def chunk_id(document: str, chunk: int) -> str:
    """The point of a chunk."""
    return str(uuid.uuid5(_POINTS, f"{document} chunk {chunk}"))
