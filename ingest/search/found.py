"""A point that a search has found."""

from typing import Any

import msgspec

from ingest.collections import layout
from jobs.search.query import Kind


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page, or a chunk of text, with its score: the higher, the better."""

    collection: str
    point: str
    kinds: tuple[Kind, ...]
    """By what it was found; the point and the text are of the first."""
    score: float
    document: str
    paths: tuple[str, ...]
    page: int
    label: str
    text: str = ""
    """Of a chunk: the whole of it, and the heading over it."""
    heading: str = ""


def found(collection: str, kind: Kind, hit: Any) -> Found:
    """hit: of qdrant-client, with its payload."""
    payload: dict[str, Any] = hit.payload or {}
    return Found(
        collection=collection,
        point=str(hit.id),
        kinds=(kind,),
        score=float(hit.score),
        document=payload[layout.DOCUMENT],
        paths=tuple(payload[layout.PATHS]),
        page=payload[layout.PAGE],
        label=payload[layout.LABEL],
        text=payload.get(layout.TEXT, ""),
        heading=payload.get(layout.HEADING, ""),
    )
