"""What follows an ingest: collections are told which paths have changed, and lose documents that lie nowhere."""

from collections.abc import Sequence
from typing import Protocol

from ingest.manifest.manifest import Manifest
from ingest.manifest.path import shown_path
from ingest.manifest.paths import PathRecords


class ListedCollections(Protocol):
    """Of ingest.collections.Collections, what is needed here."""

    def set_paths(self, name: str, document: str, paths: Sequence[str]) -> None:
        """The document lies there, and no longer where it lay."""
        ...

    def remove_documents(self, name: str, documents: Sequence[str]) -> None:
        """All of their points, of both kinds."""
        ...


class Upkeep:
    """The store first, then the manifest: whatever dies between them is done again."""

    def __init__(
        self, manifest: Manifest, paths: PathRecords, collections: ListedCollections, collection: str
    ) -> None:
        self._manifest = manifest
        self._paths = paths
        self._collections = collections
        self._collection = collection

    def tell_paths(self) -> int:
        """How many documents have other paths now."""
        relisted = self._paths.relisted(self._collection)
        for document, paths in relisted.items():
            self._collections.set_paths(self._collection, document, [shown_path(path) for path in paths])
            self._paths.told(self._collection, [document])
        return len(relisted)

    def remove_replaced(self) -> int:
        """Documents whose files have other content now, of which all is done."""
        return self.remove(self._paths.replaced(self._collection))

    def remove(self, documents: Sequence[str]) -> int:
        """Returns how many."""
        if documents:
            self._collections.remove_documents(self._collection, documents)
            self._manifest.forget_documents(self._collection, documents)
        return len(documents)
