"""One collection: a shard of qdrant-edge in a folder, and the description it was made by."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import msgspec
import qdrant_edge as edge
from qdrant_client import models

from ingest.store.description import Description, read_description
from ingest.store.groups import DEFAULT_GROUPS, DEFAULT_SIZE, grouped
from ingest.store.refused import BAD_REQUEST, NOT_FOUND, Refused, refuse_set
from ingest.store.slots import slots
from ingest.store.translate.filters import PointId, edge_filter, point_id
from ingest.store.translate.queries import QueryTranslator, checked_limit, order_by, payload_selector
from ingest.store.translate.schema import completed, dense_vectors, edge_config
from ingest.store.translate.vectors import EdgeVector, VectorCheck

FLUSH_BYTES = 32 << 20
"""Of writes, after which all is flushed. What is not takes room in the write-ahead log, and time after a crash."""


class NewPoint(NamedTuple):
    """A point that is to be stored. Its vectors have been checked."""

    id: PointId
    vectors: dict[str, EdgeVector]
    payload: dict[str, Any]


class Collection:
    """Called from one thread at a time; every method may take as long as a search through all vectors."""

    def __init__(
        self, folder: Path, description: Description, spec: models.CreateCollection, shard: edge.EdgeShard
    ) -> None:
        self.folder = folder
        self.name = description.name
        self.spec = spec
        self._description = description
        self._shard = shard
        self._unflushed_bytes = 0
        self.check = VectorCheck(dense_vectors(spec), frozenset(spec.sparse_vectors or ()))
        self._queries = QueryTranslator(self.check, self._vector_of)

    @classmethod
    def create(cls, folder: Path, name: str, given: models.CreateCollection) -> Self:
        """In a folder that is not there yet. Raises Refused for what the store does not have."""
        spec = completed(given)
        if not spec.vectors and not spec.sparse_vectors:
            raise Refused(BAD_REQUEST, "A collection needs `vectors` or `sparse_vectors`.")
        config = edge_config(spec)
        description = Description(name, spec.model_dump_json(exclude_none=True))
        shard_folder = folder / description.shard
        shard_folder.mkdir(parents=True)
        try:
            shard = edge.EdgeShard.create(str(shard_folder), config)
            description.write(folder)  # last: with it, the collection is there
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(folder, description, spec, shard)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """One that was made before. Raises what qdrant-edge raises where its files are damaged."""
        description = read_description(folder)
        for other in folder.glob("shard*"):
            if other.name != description.shard:
                shutil.rmtree(other, ignore_errors=True)
        shard = edge.EdgeShard.load(str(folder / description.shard))
        return cls(folder, description, description.created(), shard)

    def reopened(self, shard_name: str) -> "Collection":
        """The same collection over another of its shards, as yet unknown to the description."""
        shard = edge.EdgeShard.load(str(self.folder / shard_name))
        return Collection(
            self.folder, msgspec.structs.replace(self._description, shard=shard_name), self.spec, shard
        )

    def take_over(self) -> None:
        """From now on, this shard is the collection's."""
        self.flush()
        self._description.write(self.folder)

    @property
    def shard_name(self) -> str:
        """Of the folder in the collection's."""
        return self._description.shard

    @property
    def next_shard(self) -> str:
        """A name that is free."""
        return f"shard-{int(self.shard_name.partition('-')[2] or 0) + 1}"

    def close(self) -> None:
        """Write what is in memory to the disk, and let go of the files."""
        self._shard.flush()
        self._shard.close()

    def flush(self) -> None:
        """Write what is in memory to the disk: the write-ahead log shrinks."""
        self._shard.flush()
        self._unflushed_bytes = 0

    def wrote(self, size_bytes: int) -> None:
        """Of a write's body. Flushes when there is much."""
        self._unflushed_bytes += size_bytes
        if self._unflushed_bytes >= FLUSH_BYTES:
            self.flush()

    def dead_points(self) -> int:
        """Removed or replaced ones, which still take room. As of the last flush."""
        return max(0, slots(self.folder / self.shard_name) - self._shard.info().points_count)

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
