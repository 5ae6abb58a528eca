"""Collections in Qdrant: made, filled, cleared of documents. The same on a server and in the embedded store."""

from collections.abc import Iterator, Mapping, Sequence

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from ingest.collections import layout
from ingest.collections.documents import StoredDocument, stored_documents
from ingest.collections.fingerprint import Fingerprint, FingerprintMismatch
from ingest.collections.generations import stored_halves
from ingest.collections.layout import KINDS, Kind, stored_name
from ingest.collections.removal import everywhere, of_documents, remove_documents
from ingest.collections.schema import Schema, schema
from ingest.qdrant.bulk import BulkPoint, BulkWriter

CONFLICT = 409


class Collections:
    """For one thread at a time. Every method raises what qdrant-client does where the store does not answer."""

    def __init__(
        self, client: QdrantClient, writer: BulkWriter, made: Mapping[Kind, str] | None = None
    ) -> None:
        """made: generations that are filled, instead of those that are searched."""
        self._client = client
        self._writer = writer
        self._made = made or {}
        self._filled: dict[tuple[str, Kind], str] = {}

    def ensure(self, name: str, kind: Kind, dimensions: int, fingerprint: Fingerprint) -> None:
        """The collection is there, with its indices, for vectors of this making. May be called again.

        dimensions: of the model's vectors. Raises: FingerprintMismatch.
        """
        stored, wanted = self._stored(name, kind), schema(kind, dimensions)
        if not self._client.collection_exists(stored):
            self._create(stored, wanted, fingerprint)
        info = self._client.get_collection(stored)
        there = Fingerprint.of(info.config.metadata)
        if there is None or there.key != fingerprint.key:
            raise FingerprintMismatch(stored, there, fingerprint)
        if (sizes := _sizes(info)) != wanted.sizes:
            raise FingerprintMismatch(stored, there.sized(sizes), fingerprint.sized(wanted.sizes))
        for field in wanted.indices.keys() - info.payload_schema.keys():
            self._client.create_payload_index(stored, field, wanted.indices[field])

    def fingerprint(self, name: str, kind: Kind) -> Fingerprint | None:
        """None: there is no such collection, or it is none of ours."""
        stored = self._stored(name, kind)
        if not self._client.collection_exists(stored):
            return None
        return Fingerprint.of(self._client.get_collection(stored).config.metadata)

    def names(self) -> dict[str, tuple[Kind, ...]]:
        """The collections that follow our naming, each with the kinds that are there."""
        there = stored_halves(self._client)
        return {
            name: tuple(kind for kind in KINDS if (name, kind) in there)
            for name in sorted({name for name, _ in there})
        }

    def upsert(self, name: str, kind: Kind, points: Sequence[BulkPoint]) -> None:
        """All of them are durable when it returns. May be repeated. Raises: UpsertFailed, StoreUnavailable."""
        if (name, kind) not in self._filled:  # the same as long as its lock is held
            self._filled[name, kind] = self._stored(name, kind)
        self._writer.upsert(self._filled[name, kind], points)

    def set_paths(self, name: str, document: str, paths: Sequence[str]) -> None:
        """The document lies there (at least one path), and no longer where it lay."""
        for stored in everywhere(self._client, name):
            self._client.set_payload(stored, {layout.PATHS: list(paths)}, points=of_documents([document]))

    def remove_documents(self, name: str, documents: Sequence[str]) -> None:
        """All of their points, of both kinds and all generations."""
        remove_documents(self._client, name, documents)

    def documents(self, name: str, kind: Kind) -> Iterator[StoredDocument]:
        """All that the collection has something of, in no order."""
        return stored_documents(self._client, self._stored(name, kind), kind)

    def _stored(self, name: str, kind: Kind) -> str:
        if kind in self._made:
            return stored_name(name, kind, self._made[kind])
        return stored_halves(self._client).get((name, kind), stored_name(name, kind))

    def _create(self, stored: str, wanted: Schema, fingerprint: Fingerprint) -> None:
        try:
            self._client.create_collection(
                stored,
                vectors_config=wanted.vectors,
                sparse_vectors_config=wanted.sparse or None,
                metadata=fingerprint.metadata(),
            )
        except UnexpectedResponse as error:
            if error.status_code != CONFLICT:  # somebody else has made it meanwhile
                raise


def _sizes(info: models.CollectionInfo) -> dict[str, int]:
    vectors = info.config.params.vectors
    return {name: params.size for name, params in vectors.items()} if isinstance(vectors, dict) else {}
