"""Points into the store, a few at a time; what it has acknowledged is written down."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

from ingest.collections.fingerprint import Fingerprint
from ingest.collections.layout import Kind
from ingest.documents.problem import Problem
from ingest.pipeline.progress import Counts
from ingest.pipeline.shelf import BlobShelf
from ingest.pipeline.waits import PipelineStopped, Waits
from ingest.qdrant.bulk import BulkPoint, UpsertFailed
from jobs.search.errors import StoreUnavailable

MAX_POINTS = 16
"""In one request: the store answers nobody else meanwhile."""

MAX_WAITING = 32
"""Entries that wait for the store. Then no more vectors are fetched."""

TRIES = 3
"""Of points that the store refuses."""

T = TypeVar("T")


class FilledCollections(Protocol):
    """What the pipeline needs of ingest.collections.Collections. Called in one thread."""

    def ensure(self, name: str, kind: Kind, dimensions: int, fingerprint: Fingerprint) -> None: ...

    def upsert(self, name: str, kind: Kind, points: Sequence[BulkPoint]) -> None: ...


class Ledger(Protocol):
    """What the pipeline needs of ingest.manifest.Manifest. Any thread may call it."""

    def set_fingerprint(self, collection: str, kind: str, fingerprint: str) -> None: ...

    def open_document(self, collection: str, kind: str, document: str, fingerprint: str) -> None: ...

    def done_pages(self, collection: str, kind: str, document: str) -> set[int]: ...

    def pages_done(self, collection: str, kind: str, document: str, numbers: Sequence[int]) -> None: ...

    def page_failed(self, collection: str, kind: str, document: str, page: int, problem: Problem) -> None: ...

    def page_warned(
        self, collection: str, kind: str, document: str, page: int, warnings: Sequence[Problem]
    ) -> None: ...

    def document_done(self, collection: str, kind: str, document: str, page_count: int) -> None: ...

    def document_failed(self, collection: str, kind: str, document: str, problem: Problem) -> None: ...


class Entry(NamedTuple):
    """What is stored together: a page, or the chunks of some."""

    document: str
    points: Sequence[BulkPoint]
    pages: Sequence[int]
    """Those that are done by it."""
    digests: Sequence[str] = ()
    """Of blobs that it needs no more."""


class StoreThread:
    """The one thread that talks to the store."""

    def __init__(self, waits: Waits) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._waits = waits

    async def run(self, call: Callable[[], T]) -> T:
        """Waits for the store as long as it is away. Raises: PipelineStopped, and what else the call raises."""
        failed = 0
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, call)
            except StoreUnavailable as error:
                await self._waits.pause(error.message)
            except UpsertFailed as error:
                failed += 1
                if failed == TRIES:
                    raise PipelineStopped(f"The vector store refuses points: {error}") from error
                await self._waits.pause("The vector store refuses points.")
            except sqlite3.Error as error:
                raise PipelineStopped(f"What was done cannot be written down: {error}.") from error

    def close(self) -> None:
        """What it is at is done first."""
        self._thread.shutdown()


class StoreStage:
    """Of one half of a collection. `run` it beside those that `add`."""

    def __init__(
        self,
        collection: str,
        kind: Kind,
        collections: FilledCollections,
        ledger: Ledger,
        shelf: BlobShelf,
        thread: StoreThread,
        counts: Counts,
    ) -> None:
        self._collection = collection
        self._kind: Kind = kind
        self._collections = collections
        self._ledger = ledger
        self._shelf = shelf
        self._thread = thread
        self._counts = counts
        self._waiting = asyncio.Queue[tuple[Entry, asyncio.Future[None]]](MAX_WAITING)

    async def add(self, entry: Entry) -> None:
        """Returns when the entry is stored and written down."""
        stored = asyncio.get_running_loop().create_future()
        self._counts.handed += len(entry.points)
        await self._waiting.put((entry, stored))
        await stored

    async def run(self) -> None:
        """Until it is cancelled. Raises what StoreThread does."""
        while True:
            batch = [await self._waiting.get()]
            points = len(batch[0][0].points)
            while not self._waiting.empty() and points < MAX_POINTS:
                batch.append(self._waiting.get_nowait())
                points += len(batch[-1][0].points)
            await self._store([entry for entry, _ in batch])
            for _, stored in batch:
                if not stored.done():  # who waited may have been cancelled
                    stored.set_result(None)

    async def _store(self, entries: Sequence[Entry]) -> None:
        free = self._shelf.release(digest for entry in entries for digest in entry.digests)
        points = [point for entry in entries for point in entry.points]

        def store() -> None:
            if points:
                self._collections.upsert(self._collection, self._kind, points)
            for entry in entries:
                self._ledger.pages_done(self._collection, self._kind, entry.document, entry.pages)
            self._shelf.remove(free)

        await self._thread.run(store)
        self._counts.stored += len(points)
        self._counts.pages_done += sum(len(entry.pages) for entry in entries)
