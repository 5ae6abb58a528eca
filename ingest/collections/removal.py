"""What leaves the store: documents, whole collections; of all kinds and generations."""

from collections.abc import Sequence

from qdrant_client import QdrantClient, models

from ingest.collections import layout
from ingest.collections.generations import generations
from ingest.collections.layout import KINDS

MAX_PER_FILTER = 500
"""Documents that one filter names."""


def everywhere(client: QdrantClient, name: str) -> list[str]:
    """What Qdrant calls all that the collection is made of."""
    return [each for kind in KINDS for each in generations(client, name, kind)]


def of_documents(documents: Sequence[str]) -> models.Filter:
    """Passes their points."""
    one_of = models.MatchAny(any=list(documents))
    return models.Filter(must=[models.FieldCondition(key=layout.DOCUMENT, match=one_of)])


def remove_documents(client: QdrantClient, name: str, documents: Sequence[str]) -> None:
    """All of their points."""
    for stored in everywhere(client, name):
        for start in range(0, len(documents), MAX_PER_FILTER):
            chosen = of_documents(documents[start : start + MAX_PER_FILTER])
            client.delete(stored, models.FilterSelector(filter=chosen))


def remove_collection(client: QdrantClient, name: str) -> bool:
    """Whether there was anything of it."""
    found = everywhere(client, name)
    for stored in found:
        client.delete_collection(stored)
    return bool(found)
