"""What leaves collections because somebody says so. Files stay where they are."""

import contextlib
from collections.abc import Callable, Generator

from qdrant_client import QdrantClient

from ingest.collections.removal import remove_collection, remove_documents
from ingest.manifest.database import Database
from ingest.manifest.lock import hold_collection
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.qdrant.connect import connect
from ingest.qdrant.failures import store_failures
from jobs.search.errors import UnknownCollection
from jobs.settings import Settings


class Removal:
    """The store first, then the manifest: whatever dies between them is done again. From any thread.

    Every method raises StoreUnavailable, CollectionBusy, ManifestUnusable.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def document(self, collection: str, document: str) -> None:
        """Of all kinds. Where its file is found again, it is ingested again."""
        with self._held(collection) as forget:
            with self._store(collection) as client:
                remove_documents(client, collection, [document])
            forget(lambda manifest: manifest.forget_documents(collection, [document]))

    def collection(self, collection: str) -> None:
        """All of it. Raises UnknownCollection, too."""
        with self._held(collection) as forget:
            with self._store(collection) as client:
                if not remove_collection(client, collection):
                    raise UnknownCollection(f"There is no collection {collection!r}.")
            forget(lambda manifest: manifest.forget_collection(collection))

    @contextlib.contextmanager
    def _held(self, collection: str) -> Generator[Callable[[Callable[[Manifest], None]], None]]:
        """No ingest writes into it meanwhile. Gives what changes the manifest, which there need not be."""
        path = manifest_path(self._settings)
        if not path.exists():
            yield lambda change: None
            return
        with hold_collection(path.parent, collection), contextlib.closing(Database(path)) as database:
            yield lambda change: change(Manifest(database))

    @contextlib.contextmanager
    def _store(self, collection: str) -> Generator[QdrantClient]:
        with store_failures(collection), contextlib.closing(connect(self._settings)) as client:
            yield client
