"""A run: documents in, acknowledged points out, and no stage ahead of the next by more than its bound."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import UTC, datetime

from ingest.collections.layout import Kind
from ingest.pipeline.document import DocumentStage, Reader
from ingest.pipeline.embedder import Embedder, Queue
from ingest.pipeline.pages import PageStage
from ingest.pipeline.progress import Progress, Summary
from ingest.pipeline.shelf import BlobShelf
from ingest.pipeline.storing import FilledCollections, Ledger, StoreStage, StoreThread
from ingest.pipeline.texts import Chunking, TextStage, Words
from ingest.pipeline.waits import Waits
from ingest.pipeline.work import DocumentWork, Target
from ingest.qdrant.failures import store_failures
from jobs.blobs.store import BlobStore

WINDOW = 64
"""Pages on their way: a few batches of a device, so that it never waits. Each takes two megabytes beside the queue and
half a megabyte here.
"""


class Pipeline:
    """One run into one collection. It waits for whatever passes; what is wrong with a page is written down with it."""

    def __init__(
        self,
        collection: str,
        targets: Sequence[Target],
        *,
        reader: Reader,
        queue: Queue,
        blobs: BlobStore,
        collections: FilledCollections,
        ledger: Ledger,
        chunking: Chunking | None = None,
        words: Words | None = None,
        documents: int = 3,
        window: int = WINDOW,
    ) -> None:
        """chunking, words: for a target of texts. documents: that are read at a time; one more than the reader has
        processes keeps them busy. window: pages on their way at most.
        """
        self._collection = collection
        self._targets: dict[Kind, Target] = {target.kind: target for target in targets}
        self._reader = reader
        self._collections = collections
        self._ledger = ledger
        self._chunking = chunking
        self._words = words
        self._documents = documents
        self._window = window
        self.progress = Progress(window)
        waits = Waits(self.progress)
        self._thread = StoreThread(waits)
        self._shelf = BlobShelf(blobs, waits)
        self._embedder = Embedder(queue, waits)
        self._stopping = asyncio.Event()
        self._stage: DocumentStage | None = None

    def stop(self) -> None:
        """Read nothing more, finish what is on its way, then end. To stop at once, cancel the task of `run`: what is
        acknowledged by then is written down, and the next run finds the jobs that were on their way.
        """
        self._stopping.set()
        if self._stage is not None:
            self._stage.stop()

    async def run(self, work: AsyncIterable[DocumentWork]) -> Summary:
        """Once only. Raises: PipelineStopped, FingerprintMismatch, FingerprintChanged."""
        began = time.monotonic()
        try:
            for target in self._targets.values():
                self._ledger.set_fingerprint(self._collection, target.kind, target.fingerprint.key)
                await self._thread.run(lambda target=target: self._ensure(target))
            async with asyncio.TaskGroup() as group:
                stores: dict[Kind, StoreStage] = {kind: self._store_stage(kind) for kind in self._targets}
                tasks = [group.create_task(store.run()) for store in stores.values()]
                self._stage = self._document_stage(stores)
                if self._stopping.is_set():
                    self._stage.stop()
                await self._read_all(work, self._stage)
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._thread.close()
        counts = self.progress
        return Summary(
            counts.documents_done,
            counts.documents_failed,
            counts.kinds,
            self._stopping.is_set(),
            time.monotonic() - began,
        )

    async def _read_all(self, work: AsyncIterable[DocumentWork], stage: DocumentStage) -> None:
        room = asyncio.Semaphore(self._documents)
        async with asyncio.TaskGroup() as documents:
            async for each in self._until_stopped(work):
                await room.acquire()
                if self._stopping.is_set():
                    break
                documents.create_task(stage.run(each, room.release))

    async def _until_stopped(self, work: AsyncIterable[DocumentWork]) -> AsyncIterator[DocumentWork]:
        """The work may be long in coming: of folders that are watched, for ever."""
        coming = aiter(work)
        stop = asyncio.create_task(self._stopping.wait())
        try:
            while True:
                following = asyncio.ensure_future(anext(coming, None))
                await asyncio.wait((following, stop), return_when=asyncio.FIRST_COMPLETED)
                if self._stopping.is_set():
                    following.cancel()
                    return
                if (found := following.result()) is None:
                    return
                yield found
        finally:
            stop.cancel()

    def _ensure(self, target: Target) -> None:
        with store_failures(self._collection):
            self._collections.ensure(
                self._collection, target.kind, target.model.dimensions, target.fingerprint
            )

    def _store_stage(self, kind: Kind) -> StoreStage:
        counts = self.progress.of(kind)
        return StoreStage(
            self._collection, kind, self._collections, self._ledger, self._shelf, self._thread, counts
        )

    def _document_stage(self, stores: dict[Kind, StoreStage]) -> DocumentStage:
        ingested_at = datetime.now(UTC).isoformat(timespec="seconds")
        pages = texts = None
        for kind, target in self._targets.items():
            counts = self.progress.of(kind)
            if kind == "visual":
                pages = PageStage(target, self._embedder, self._shelf, stores[kind], counts, ingested_at)
            else:
                assert self._chunking is not None
                assert self._words is not None
                texts = TextStage(
                    target, self._embedder, self._chunking, self._words, stores[kind], counts, ingested_at
                )
        return DocumentStage(
            self._collection,
            self._targets,
            self._reader,
            self._ledger,
            self._shelf,
            pages,
            texts,
            self.progress,
            window=self._window,
        )


def _first(error: BaseException) -> BaseException:
    """Of the errors of tasks that ran together, the first: the others were cancelled by it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return error  # pyright: ignore[reportUnknownVariableType]
