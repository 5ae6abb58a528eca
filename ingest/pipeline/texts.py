"""Pages of text become points, one for each of their chunks."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ingest.collections.points import ChunkFacts, VectorsUnusable, text_point
from ingest.documents.page import Page
from ingest.documents.problem import Problem
from ingest.pipeline.embedder import Embedder
from ingest.pipeline.progress import Counts
from ingest.pipeline.storing import Entry, StoreStage
from ingest.pipeline.work import DocumentWork, Target, work_key
from ingest.qdrant.bulk import BulkPoint
from ingest.text.chunk import Chunk
from ingest.text.headings import HeadingPath
from jobs.embed import EmbedJob
from jobs.errors import JobError

SECTION_PAGES = 32
"""Pages that are cut into chunks, stored and written down together."""

CHUNKS_A_JOB = 16

MAX_JOBS = 32
"""Of texts, at a time."""

Words = Callable[[str], tuple[Sequence[int], Sequence[float]]]
"""A text's words for BM25: indices and weights."""


class Chunking(Protocol):
    """ingest.text.chunker.Chunker, or a fake. Any thread may use it."""

    def chunks(self, pages: Iterable[Page], path: HeadingPath | None = None) -> Iterator[Chunk]: ...


class _Made(NamedTuple):
    points: list[BulkPoint]
    problems: list[Problem]
    jobs: list[str]


class TextStage:
    """From pages of text to acknowledged points."""

    def __init__(
        self,
        target: Target,
        embedder: Embedder,
        chunking: Chunking,
        words: Words,
        store: StoreStage,
        counts: Counts,
        ingested_at: str,
    ) -> None:
        self._target = target
        self._embedder = embedder
        self._chunking = chunking
        self._words = words
        self._store = store
        self._counts = counts
        self._ingested_at = ingested_at
        self._jobs = asyncio.Semaphore(MAX_JOBS)
        self._turn = asyncio.Lock()
        """Of the section whose jobs are sent: the first is stored first, where all would be stored at the end."""

    async def chunks(self, pages: Sequence[Page], path: HeadingPath) -> list[Chunk]:
        """Of a section. path: the headings above it, and afterwards above the next one."""
        return await asyncio.to_thread(lambda: list(self._chunking.chunks(pages, path)))

    async def run(self, work: DocumentWork, pages: Sequence[Page], chunks: Sequence[Chunk]) -> list[Problem]:
        """What keeps some of the pages from being stored; all others are. chunks: all of theirs.

        Raises PipelineStopped.
        """
        made = _Made([], [], [])
        async with asyncio.TaskGroup() as parts, self._turn:
            for start in range(0, len(chunks), CHUNKS_A_JOB):
                await self._jobs.acquire()
                parts.create_task(self._embed_part(work, chunks[start : start + CHUNKS_A_JOB], made))
        failed = {problem.page for problem in made.problems}
        done = [page.number for page in pages if page.number not in failed]
        await self._store.add(Entry(work.document, made.points, done))
        for job_id in made.jobs:
            await self._embedder.forget(job_id)
        return made.problems

    async def _embed_part(self, work: DocumentWork, chunks: Sequence[Chunk], made: _Made) -> None:
        try:
            await self._embed(work, chunks, made)
        finally:
            self._jobs.release()

    async def _embed(self, work: DocumentWork, chunks: Sequence[Chunk], made: _Made) -> None:
        """Chunks of which one is at fault are parted until it fails alone."""
        texts = tuple(chunk.titled for chunk in chunks)
        job = EmbedJob(model=self._target.model.id, inputs=texts, input_type="document")
        self._counts.sent += len(chunks)
        try:
            embedded = await self._embedder.embed(
                job, work_key(self._target, work, chunks[0].number, *texts), _no_images
            )
        except JobError as error:
            self._counts.sent -= len(chunks)
            if len(chunks) == 1:
                message = f"The model cannot embed its text: {error.message}"
                made.problems.append(Problem("not_embedded", message, chunks[0].page))
                return
            half = len(chunks) // 2
            await self._embed(work, chunks[:half], made)
            await self._embed(work, chunks[half:], made)
            return
        made.jobs.append(embedded.job_id)
        vectors = np.frombuffer(embedded.result.vectors, "<f4").reshape(len(chunks), -1)
        self._add_points(work, chunks, vectors, made)

    def _add_points(
        self,
        work: DocumentWork,
        chunks: Sequence[Chunk],
        vectors: "np.ndarray[tuple[int, int], np.dtype[np.float32]]",
        made: _Made,
    ) -> None:
        for chunk, vector in zip(chunks, vectors, strict=True):
            facts = ChunkFacts(
                document=work.document,
                paths=work.paths,
                page=chunk.page,
                label=chunk.label,
                ingested_at=self._ingested_at,
                chunk=chunk.number,
                text=chunk.text,
                heading=chunk.heading,
                start=chunk.start,
                end=chunk.end,
            )
            try:
                made.points.append(text_point(facts, vector, self._words(chunk.titled)))
                self._counts.embedded += 1
            except VectorsUnusable as error:
                self._counts.sent -= 1
                made.problems.append(Problem("not_embedded", f"{error}", chunk.page))


async def _no_images() -> None:
    """A job of texts has none."""
