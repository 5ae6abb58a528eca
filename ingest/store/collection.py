"""One collection: a shard of qdrant-edge in a folder, and the description it was made by."""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import msgspec
import qdrant_edge as edge
from qdrant_client import models

from ingest.store.groups import DEFAULT_GROUPS, DEFAULT_SIZE, grouped
from ingest.store.refused import BAD_REQUEST, NOT_FOUND, Refused, refuse_set
from ingest.store.translate.filters import PointId, edge_filter, point_id
from ingest.store.translate.queries import QueryTranslator, checked_limit, order_by, payload_selector
from ingest.store.translate.schema import completed, dense_vectors, edge_config
from ingest.store.translate.vectors import EdgeVector, VectorCheck

DESCRIPTION = "collection.json"


class Description(msgspec.Struct, frozen=True):
    """The file beside a shard. A folder without it is one whose making was not finished."""

    name: str
    spec: str
    """Qdrant's CreateCollection as JSON."""


class NewPoint(NamedTuple):
    """A point that is to be stored. Its vectors have been checked."""

    id: PointId
    vectors: dict[str, EdgeVector]
    payload: dict[str, Any]


class Collection:
    """Called from one thread at a time; every method may take as long as a search through all vectors."""

    def __init__(self, folder: Path, name: str, spec: models.CreateCollection, shard: edge.EdgeShard) -> None:
        self.folder = folder
        self.name = name
        self.spec = spec
        self._shard = shard
        self.check = VectorCheck(dense_vectors(spec), frozenset(spec.sparse_vectors or ()))
        self._queries = QueryTranslator(self.check, self._vector_of)

    @classmethod
    def create(cls, folder: Path, name: str, given: models.CreateCollection) -> Self:
        """In a folder that is not there yet. Raises Refused for what the store does not have."""
        spec = completed(given)
        if not spec.vectors and not spec.sparse_vectors:
            raise Refused(BAD_REQUEST, "A collection needs `vectors` or `sparse_vectors`.")
        config = edge_config(spec)
        shard_folder = folder / "shard"
        shard_folder.mkdir(parents=True)
        try:
            shard = edge.EdgeShard.create(str(shard_folder), config)
            # The description last: with it, the collection is there.
            _write(
                folder / DESCRIPTION,
                msgspec.json.encode(Description(name, spec.model_dump_json(exclude_none=True))),
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(folder, name, spec, shard)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """One that was made before. Raises what qdrant-edge raises where its files are damaged."""
        found = description(folder)
        spec = models.CreateCollection.model_validate_json(found.spec)
        return cls(folder, found.name, spec, edge.EdgeShard.load(str(folder / "shard")))

    def close(self) -> None:
        """Write what is in memory to the disk, and let go of the files."""
        self._shard.flush()
        self._shard.close()

    # Writes

    def upsert(
        self, points: Sequence[NewPoint], only_if: models.Filter | None, mode: models.UpdateMode | None
    ) -> None:
        """Store the points; those with known IDs are replaced."""
        chosen = "".join(part.capitalize() for part in mode.value.split("_")) if mode else "Upsert"
        made = [edge.Point(each.id, each.vectors, each.payload) for each in points]  # pyright: ignore[reportArgumentType]: arrays are vectors
        self.update(
            edge.UpdateOperation.upsert_points(made, edge_filter(only_if), getattr(edge.UpdateMode, chosen))
        )

    def update(self, operation: edge.UpdateOperation) -> None:
        """Durable when it returns: qdrant-edge has a write-ahead log."""
        self._shard.update(operation)

    # Reads

    def query(self, given: models.QueryRequest) -> list[edge.ScoredPoint]:
        """The best points, best first."""
        limit = checked_limit(given.limit)
        return self._shard.query(self._queries.request(given, limit=limit, offset=given.offset or 0))

    def query_groups(self, given: models.QueryGroupsRequest) -> dict[Any, list[edge.ScoredPoint]]:
        """The best groups with their best points. The payloads are there, whether they are wanted or not."""
        refuse_set(given, "with_lookup")
        whole = given.model_copy(update={"with_payload": True})

        def search(limit: int) -> list[edge.ScoredPoint]:
            return self._shard.query(self._queries.request(whole, limit=limit))

        size = given.group_size or DEFAULT_SIZE
        return grouped(search, given.group_by, size, checked_limit(given.limit or DEFAULT_GROUPS))

    def retrieve(self, given: models.PointRequest) -> list[edge.Record]:
        """Those of the points that are there."""
        refuse_set(given, "shard_key")
        return self._shard.retrieve(
            [point_id(each) for each in given.ids],
            with_payload=payload_selector(given.with_payload, default=True),
            with_vector=given.with_vector or False,
        )

    def scroll(self, given: models.ScrollRequest) -> tuple[list[edge.Record], PointId | None]:
        """A page of points, and where the next one begins."""
        refuse_set(given, "shard_key")
        records, following = self._shard.scroll(
            edge.ScrollRequest(
                offset=None if given.offset is None else point_id(given.offset),
                limit=checked_limit(given.limit),
                filter=edge_filter(given.filter),
                with_payload=payload_selector(given.with_payload, default=True),
                with_vector=given.with_vector or False,
                order_by=order_by(given.order_by) if given.order_by else None,
            )
        )
        return records, None if following is None else plain_id(following)

    def count(self, given: models.CountRequest) -> int:
        """Exactly, also where an estimate would do."""
        refuse_set(given, "shard_key")
        return self._shard.count(edge.CountRequest(exact=True, filter=edge_filter(given.filter)))

    def facet(self, given: models.FacetRequest) -> list[edge.FacetHit]:
        """A field's values, each with its number of points. The field needs an index."""
        refuse_set(given, "shard_key")
        request = edge.FacetRequest(
            given.key,
            limit=checked_limit(given.limit),
            exact=bool(given.exact),
            filter=edge_filter(given.filter),
        )
        return self._shard.facet(request).hits

    def info(self) -> "edge.ShardInfo":
        """How many points and which indices there are."""
        return self._shard.info()

    def _vector_of(self, wanted: PointId, name: str) -> Any:
        found = self._shard.retrieve([wanted], with_payload=False, with_vector=[name] if name else True)
        if not found:
            raise Refused(NOT_FOUND, f"Not found: No point with id {wanted} found")
        vector: Any = found[0].vector
        if isinstance(vector, dict):
            vector = cast("dict[str, Any]", vector).get(name)
        if vector is None:
            raise Refused(NOT_FOUND, f"Not found: the point {wanted} has no vector {name!r}")
        return vector


def plain_id(given: Any) -> PointId:
    """An ID as JSON has it."""
    return given if isinstance(given, int) else str(given)


def folder_name(name: str) -> str:
    """Of a collection: readable, and another one for each name, also where capital letters do not count."""
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{readable or 'collection'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def description(folder: Path) -> Description:
    """Raises OSError and msgspec.MsgspecError."""
    return msgspec.json.decode((folder / DESCRIPTION).read_bytes(), type=Description)


def _write(path: Path, content: bytes) -> None:
    """The file is there with all of its content, or it is not there."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
