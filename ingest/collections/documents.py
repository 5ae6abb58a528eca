"""Which documents a collection has something of."""

from collections.abc import Iterator
from typing import Any

import msgspec
from qdrant_client import QdrantClient, models

from ingest.collections import layout
from ingest.collections.layout import Kind

SCROLLED = 1000
"""Points in one reply."""

SHOWN = [layout.DOCUMENT, layout.PATHS, layout.INGESTED_AT]


class StoredDocument(msgspec.Struct, frozen=True):
    """What a collection has of a document."""

    document: str
    paths: tuple[str, ...]
    points: int
    """Pages of a visual collection, chunks of a text one."""
    ingested_at: str


def stored_documents(client: QdrantClient, stored: str, kind: Kind) -> Iterator[StoredDocument]:
    """Each once. Only the first point of each document is read, and another one where that is not there.

    stored: the collection's name in Qdrant.
    """
    points = max(1, client.count(stored).count)
    hits = client.facet(stored, layout.DOCUMENT, limit=points, exact=True).hits
    counts = {str(hit.value): hit.count for hit in hits}
    field, first = (layout.PAGE, 1) if kind == "visual" else (layout.CHUNK, 0)
    for payload in _scrolled(
        client, stored, models.FieldCondition(key=field, match=models.MatchValue(value=first))
    ):
        if (count := counts.pop(payload[layout.DOCUMENT], None)) is not None:
            yield _document(payload, count)
    for document, count in counts.items():
        only = models.FieldCondition(key=layout.DOCUMENT, match=models.MatchValue(value=document))
        payload = next(_scrolled(client, stored, only, limit=1), None)
        if payload is not None:  # removed meanwhile
            yield _document(payload, count)


def _scrolled(
    client: QdrantClient, stored: str, condition: models.FieldCondition, limit: int = SCROLLED
) -> Iterator[dict[str, Any]]:
    offset: Any = None
    while True:
        records, offset = client.scroll(
            stored, models.Filter(must=[condition]), limit=limit, offset=offset, with_payload=SHOWN
        )
        for each in records:
            yield each.payload or {}
        if offset is None:
            return


def _document(payload: dict[str, Any], points: int) -> StoredDocument:
    paths, ingested_at = payload[layout.PATHS], payload[layout.INGESTED_AT]
    return StoredDocument(payload[layout.DOCUMENT], tuple(paths), points, ingested_at)
