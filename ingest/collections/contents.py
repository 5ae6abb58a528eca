"""What is in the store: collections under the names that users know, and their documents."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from qdrant_client import AsyncQdrantClient, models

from ingest.collections import layout
from ingest.collections.fingerprint import Fingerprint
from ingest.collections.generations import searched
from ingest.collections.layout import KINDS
from ingest.qdrant.failures import store_failures
from jobs.search.documents import CollectionInfo, CollectionPart, DocumentInfo, DocumentList
from jobs.search.errors import UnknownCollection, UnknownDocument
from jobs.search.query import Kind

SAMPLED = 20
"""Points whose vectors are measured."""

_DOCUMENT_FIELDS = [layout.PATHS, layout.PAGE, layout.INGESTED_AT]


class Part(NamedTuple):
    """One kind of vectors of a collection."""

    collection: str
    kind: Kind
    maker: Fingerprint
    dimensions: int
    points: int
    stored: str
    """What Qdrant calls the generation that is searched."""
    has_regions: bool = True
    """Of a visual part: it was made by a version that stores them."""


class Contents:
    """Every method raises StoreUnavailable; those that name a collection, UnknownCollection."""

    def __init__(self, client: AsyncQdrantClient) -> None:
        self._client = client

    async def parts(self, names: tuple[str, ...] = ()) -> dict[str, tuple[Part, ...]]:
        """Of the collections with these names, or of all that are ours."""
        stored = await self._searched()
        wanted = {key: each for key, each in stored.items() if not names or key[0] in names}
        parts = await asyncio.gather(*(self._part(*key, each) for key, each in wanted.items()))
        there = [each for each in parts if each]
        found = {
            name: tuple(
                each for kind in KINDS for each in there if (each.collection, each.kind) == (name, kind)
            )
            for name in sorted({each.collection for each in there})
        }
        for name in names:
            if name not in found:
                known = sorted({each for each, _ in stored})
                raise UnknownCollection(
                    f"There is no collection {name[:200]!r}. There is: {', '.join(known) or 'none yet'}."
                )
        return found

    async def check_unmoved(self, parts: Iterable[Part]) -> None:
        """Raises UnknownCollection where another generation has the name of one of them by now: as soon as the first
        generation is removed, its name is an alias.
        """
        with store_failures(""):
            aliases = await self._client.get_aliases()
        names = {each.alias_name for each in aliases.aliases}
        for part in parts:
            if part.stored in names:
                raise UnknownCollection(f"The collection {part.collection!r} was made anew meanwhile.")

    async def collections(self) -> tuple[CollectionInfo, ...]:
        """By name."""
        found = await self.parts()
        ids = await asyncio.gather(*(self._documents(parts) for parts in found.values()))
        return tuple(
            CollectionInfo(
                name,
                tuple(
                    CollectionPart(each.kind, each.maker.model, each.dimensions, each.points)
                    for each in parts
                ),
                len(documents),
            )
            for (name, parts), documents in zip(found.items(), ids, strict=True)
        )

    async def documents(self, collection: str, after: str | None, limit: int) -> DocumentList:
        """In the order of their ids, those that follow `after`."""
        parts = (await self.parts((collection,)))[collection]
        ids = await self._documents(parts)
        left = sorted(each for each in ids if after is None or each > after)
        found = await asyncio.gather(*(self._document(parts, each, ids[each]) for each in left[:limit]))
        there = tuple(each for each in found if each)  # the others were removed meanwhile
        return DocumentList(there, left[limit - 1] if len(left) > limit else None)

    async def document(self, collection: str, document: str) -> DocumentInfo:
        """Raises UnknownDocument."""
        parts = (await self.parts((collection,)))[collection]
        found = await self._document(parts, document, tuple(each.kind for each in parts))
        if found is None:
            raise UnknownDocument(f"The collection {collection!r} has no document {document[:64]!r}.")
        return found

    async def vector_bytes(self, part: Part) -> dict[str, float]:
        """Of a point's vectors by name, as they are stored: the mean of a few points."""
        with store_failures(part.collection):
            records, _ = await self._client.scroll(
                part.stored, limit=SAMPLED, with_payload=False, with_vectors=True
            )
        found: dict[str, float] = {}
        for record in records:
            vectors: Any = record.vector
            for name, vector in vectors.items():
                found[name] = found.get(name, 0.0) + _stored_bytes(name, vector) / len(records)
        return found

    async def _searched(self) -> dict[tuple[str, Kind], str]:
        with store_failures(""):
            names, aliases = await asyncio.gather(self._client.get_collections(), self._client.get_aliases())
        return searched(
            (each.name for each in names.collections),
            {each.alias_name: each.collection_name for each in aliases.aliases},
        )

    async def _part(self, collection: str, kind: Kind, stored: str) -> Part | None:
        """None: not made by mlxq."""
        with store_failures(collection):
            info = await self._client.get_collection(stored)
        maker = Fingerprint.of(info.config.metadata)
        vectors: Any = info.config.params.vectors
        if maker is None:
            return None
        params: models.VectorParams = vectors[layout.PATCHES if kind == "visual" else layout.DENSE]
        has_regions = layout.REGIONS in vectors
        return Part(collection, kind, maker, params.size, info.points_count or 0, stored, has_regions)

    async def _documents(self, parts: tuple[Part, ...]) -> dict[str, tuple[Kind, ...]]:
        """All ids, each with the kinds that have something of it."""
        found: dict[str, tuple[Kind, ...]] = {}
        for each in parts:
            with store_failures(each.collection):
                facet = await self._client.facet(
                    each.stored,
                    layout.DOCUMENT,
                    limit=max(1, each.points),
                    exact=True,
                )
            for hit in facet.hits:
                found[f"{hit.value}"] = (*found.get(f"{hit.value}", ()), each.kind)
        return found

    async def _document(
        self, parts: tuple[Part, ...], document: str, kinds: tuple[Kind, ...]
    ) -> DocumentInfo | None:
        payloads: dict[Kind, dict[str, Any]] = {
            each.kind: payload
            for each in parts
            if each.kind in kinds and (payload := await self._last_page(each, document))
        }
        if not payloads:
            return None
        newest = max(payloads.values(), key=lambda payload: payload[layout.INGESTED_AT])
        return DocumentInfo(
            collection=parts[0].collection,
            document=document,
            paths=tuple(newest[layout.PATHS]),
            pages=max(payload[layout.PAGE] for payload in payloads.values()),
            kinds=tuple(payloads),
            ingested_at=datetime.fromisoformat(newest[layout.INGESTED_AT]).timestamp(),
        )

    async def _last_page(self, part: Part, document: str) -> dict[str, Any] | None:
        only = models.FieldCondition(key=layout.DOCUMENT, match=models.MatchValue(value=document))
        with store_failures(part.collection):
            records, _ = await self._client.scroll(
                part.stored,
                models.Filter(must=[only]),
                limit=1,
                order_by=models.OrderBy(key=layout.PAGE, direction=models.Direction.DESC),
                with_payload=_DOCUMENT_FIELDS,
            )
        return records[0].payload if records else None


def _stored_bytes(name: str, vector: Any) -> int:
    """float16 for the vectors of pages; index and weight of each word."""
    match name:
        case layout.PATCHES | layout.TILES | layout.REGIONS:
            return 2 * len(vector) * len(vector[0])
        case layout.BM25:
            return 8 * len(vector.indices)
        case _:
            return 4 * len(vector)
