"""Notes what is acknowledged while an ingest runs, and what was computed after that."""

import contextlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import httpx
import msgspec
from qdrant_client import models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from ingest.collections import layout
from ingest.collections.layout import DEFAULT_COLLECTION, stored_name
from ingest.manifest.database import Database, ManifestUnusable
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.qdrant.connect import connect
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings
from tests.chaos.ingest.pages import PageRef

SCROLLED = 1000


class Snapshot(msgspec.Struct, frozen=True):
    """What was acknowledged before any call from number `calls` on."""

    acknowledged: frozenset[PageRef]
    calls: int


class Witness:
    """calls: where the embedder notes what it computes."""

    def __init__(self, settings: Settings, calls: Path) -> None:
        self._settings = settings
        self._calls = calls
        self._snapshots: list[Snapshot] = []

    def calls(self) -> list[str]:
        """Digests of what was computed, in order."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [line.split()[1] for line in lines]

    def note(self) -> None:
        """What the manifest and the store have now."""
        acknowledged = frozenset({*self.in_manifest(), *self.in_store()})
        self._snapshots.append(Snapshot(acknowledged, len(self.calls())))

    def embedded_twice(self, digests: Mapping[PageRef, str]) -> list[PageRef]:
        """Pages that were computed again though they had been acknowledged."""
        calls, found = self.calls(), set[PageRef]()
        for snapshot in self._snapshots:
            later = Counter(calls[snapshot.calls :])
            found |= {page for page in snapshot.acknowledged if later[digests[page]]}
        return sorted(found)

    def in_manifest(self) -> list[PageRef]:
        """The pages that are done. Empty while the manifest is being made."""
        try:
            database = Database(manifest_path(self._settings), read_only=True)
        except (FileNotFoundError, ManifestUnusable):
            return []
        with contextlib.closing(database):
            manifest = Manifest(database)
            return [
                PageRef(each.document, page)
                for each in manifest.documents(DEFAULT_COLLECTION, "visual")
                for page in manifest.done_pages(DEFAULT_COLLECTION, "visual", each.document)
            ]

    def in_store(self) -> list[PageRef]:
        """The pages that are points. Empty while the store is away."""
        found: list[PageRef] = []
        try:
            with contextlib.closing(connect(self._settings)) as client:
                name = stored_name(DEFAULT_COLLECTION, "visual")
                if not client.collection_exists(name):
                    return []
                offset = None
                while True:
                    shown = [layout.DOCUMENT, layout.PAGE]
                    records, offset = client.scroll(
                        name,
                        limit=SCROLLED,
                        offset=offset,
                        with_payload=models.PayloadSelectorInclude(include=shown),
                    )
                    payloads = [each.payload or {} for each in records]
                    found += [PageRef(each[layout.DOCUMENT], each[layout.PAGE]) for each in payloads]
                    if offset is None:
                        return found
        except (StoreUnavailable, ApiException, QdrantException, httpx.HTTPError):
            return []
