"""A page becomes a point, from its image."""

from collections.abc import Awaitable, Callable

import numpy as np

from ingest.collections.points import PageFacts, VectorsUnusable, visual_point
from ingest.documents.page import Page, PageImage
from ingest.documents.problem import Problem
from ingest.pipeline.embedder import Embedder
from ingest.pipeline.progress import Counts
from ingest.pipeline.shelf import BlobShelf
from ingest.pipeline.storing import Entry, StoreStage
from ingest.pipeline.work import DocumentWork, Target, work_key
from ingest.qdrant.bulk import BulkPoint
from jobs.content import BlobPart, MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import JobError

Redraw = Callable[[], Awaitable[PageImage]]
"""A page's image once more. Raises: DocumentError."""


class PageStage:
    """From an image beside the queue to an acknowledged point."""

    def __init__(
        self,
        target: Target,
        embedder: Embedder,
        shelf: BlobShelf,
        store: StoreStage,
        counts: Counts,
        ingested_at: str,
    ) -> None:
        self._target = target
        self._embedder = embedder
        self._shelf = shelf
        self._store = store
        self._counts = counts
        self._ingested_at = ingested_at

    async def run(self, work: DocumentWork, page: Page, blob: BlobPart, redraw: Redraw) -> Problem | None:
        """None: it is stored. page: without its image. Raises PipelineStopped, DocumentError."""

        async def put_again() -> None:
            self._shelf.release([(await self._shelf.put(await redraw())).digest])

        job = EmbedJob(model=self._target.model.id, inputs=(MixedInput((blob,)),))
        self._counts.sent += 1
        try:
            embedded = await self._embedder.embed(
                job, work_key(self._target, work, page.number, blob.digest), put_again
            )
        except JobError as error:
            return self._failed(page, blob, f"The model cannot embed it: {error.message}")
        try:
            point = self._point(work, page, embedded.result)
        except VectorsUnusable as error:
            await self._embedder.forget(embedded.job_id)
            return self._failed(page, blob, f"{error}")
        self._counts.embedded += 1
        await self._store.add(Entry(work.document, [point], [page.number], [blob.digest]))
        await self._embedder.forget(embedded.job_id)
        return None

    def _failed(self, page: Page, blob: BlobPart, message: str) -> Problem:
        self._counts.sent -= 1
        self._shelf.remove(self._shelf.release([blob.digest]))
        return Problem("not_embedded", message, page.number)

    def _point(self, work: DocumentWork, page: Page, result: EmbedResult) -> BulkPoint:
        """Raises VectorsUnusable."""
        vectors = np.frombuffer(result.vectors, "<f4").reshape(-1, result.dimensions)
        grids = result.grids[0] if result.grids else ()
        facts = PageFacts(work.document, work.paths, page.number, page.label, self._ingested_at)
        return visual_point(facts, vectors, grids)
