"""A reader, a queue with its workers, and a store, in memory: each with what may go wrong."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import numpy as np

from bench.ingest.noop_pages import NoopPages, NoopTexts
from ingest.collections.fingerprint import Fingerprint
from ingest.collections.layout import Kind
from ingest.documents.page import Page, PageImage
from ingest.documents.problem import Problem
from ingest.documents.source import FileVersion
from ingest.documents.wants import RenderBudget, Wants
from ingest.qdrant.bulk import BulkPoint
from jobs.blobs.of_job import with_images
from jobs.blobs.store import BlobStore
from jobs.client.fingerprint import fingerprint
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import IdempotencyConflict, JobError, UnknownJob
from jobs.job import Job, JobView, Result, SubmitOptions, Ticket


def image_of(document: str, number: int) -> PageImage:
    """Another one for each page."""
    seed = abs(hash((document, number))) % 2**32
    pixels = np.random.default_rng(seed).integers(0, 256, 3 * 8 * 8, dtype=np.uint8)
    return PageImage(8, 8, pixels.tobytes())


class FakeReader:
    """Documents by the names of their paths: pages and problems as they were given."""

    def __init__(self, **documents: Sequence[Page | Problem]) -> None:
        self.documents = documents
        self.reads: list[tuple[str, Wants, frozenset[int]]] = []
        self.drawn: list[tuple[str, int]] = []
        self.pages_read = 0
        self.before_read: Callable[[Path], None] = lambda path: None

    async def read(
        self, path: Path, wants: Wants, skip: frozenset[int] = frozenset(), version: FileVersion | None = None
    ) -> AsyncGenerator[Page | Problem]:
        self.before_read(path)
        self.reads.append((path.name, wants, skip))
        for each in self.documents[path.name]:
            if isinstance(each, Page) and each.number in skip:
                continue
            await asyncio.sleep(0)
            self.pages_read += isinstance(each, Page)
            yield each

    async def render(
        self, path: Path, page: int, budget: RenderBudget, passwords: tuple[str, ...] = ()
    ) -> PageImage:
        self.drawn.append((path.name, page))
        found = next(
            each for each in self.documents[path.name] if isinstance(each, Page) and each.number == page
        )
        assert found.image is not None
        return found.image


class FakeQueue:
    """Jobs are run when they are waited for. `before_submit` and `before_wait` may raise; both get the job's inputs."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._runners = {each.info.id: each for each in (NoopPages(), NoopTexts())}
        self.jobs: dict[str, EmbedJob] = {}
        self.keys: dict[str, str] = {}
        self.results: dict[str, EmbedResult | JobError] = {}
        self.computed = Counter[str]()
        """How often the job of each fingerprint was run."""
        self.before_submit: Callable[[EmbedJob], None] = lambda job: None
        self.before_wait: Callable[[EmbedJob], None] = lambda job: None
        self.before_run: Callable[[EmbedJob], None] = lambda job: None
        self.change: Callable[[EmbedResult], EmbedResult] = lambda result: result
        self.gate = asyncio.Event()
        self.gate.set()
        self.most_waiting = 0
        self._waiting = 0

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        assert isinstance(job, EmbedJob)
        self.before_submit(job)
        key = options.idempotency_key or ""
        if found := self.keys.get(key):
            if fingerprint(self.jobs[found]) != fingerprint(job):
                raise IdempotencyConflict
            return Ticket(found, created=False)
        job_id = f"job-{len(self.keys)}-{len(self.computed)}-{key[:8]}"
        self.keys[key], self.jobs[job_id] = job_id, job
        return Ticket(job_id, created=True)

    async def wait(self, job_id: str, timeout_s: float) -> Result:
        if job_id not in self.jobs:
            raise UnknownJob
        self._waiting += 1
        self.most_waiting = max(self.most_waiting, self._waiting)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
            self.before_wait(self.jobs[job_id])
            if job_id not in self.results:
                self.results[job_id] = self._run(self.jobs[job_id])
        finally:
            self._waiting -= 1
        result = self.results[job_id]
        if isinstance(result, JobError):
            raise result
        return result

    async def delete(self, job_id: str) -> JobView | None:
        if job_id not in self.jobs:
            raise UnknownJob
        del self.jobs[job_id]
        self.results.pop(job_id, None)
        self.keys = {key: value for key, value in self.keys.items() if value != job_id}
        return None

    def _run(self, job: EmbedJob) -> EmbedResult | JobError:
        try:
            self.before_run(job)
            whole = with_images(job, self._blobs)
            assert isinstance(whole, EmbedJob)
            runner = self._runners[job.model]
            [items] = runner.prepare([whole])
            if isinstance(items, JobError):
                return items
            self.computed[fingerprint(job)] += 1
            return self.change(runner.assemble(job, items, runner.run(items)))
        except JobError as error:
            return error


class FakeCollections:
    """Points by collection and id. `before_upsert` may raise."""

    def __init__(self) -> None:
        self.points: dict[str, dict[str, BulkPoint]] = {}
        self.upserts: list[int] = []
        self.before_upsert: Callable[[], None] = lambda: None
        self.ensured: list[tuple[str, Kind, int, Fingerprint]] = []

    def ensure(self, name: str, kind: Kind, dimensions: int, fingerprint: Fingerprint) -> None:
        self.ensured.append((name, kind, dimensions, fingerprint))

    def upsert(self, name: str, kind: Kind, points: Sequence[BulkPoint]) -> None:
        self.before_upsert()
        self.upserts.append(len(points))
        self.points.setdefault(f"{name}-{kind}", {}).update({point.id: point for point in points})

    def pages(self, kind: Kind) -> list[tuple[str, int]]:
        """Document and page of every point, in order."""
        there = self.points.get(f"documents-{kind}", {}).values()
        return sorted((str(each.payload["document"]), int(each.payload["page"])) for each in there)


class Times:
    """Raises its errors one after the other, each once for whoever asks, then nothing."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self, *_: object) -> None:
        if self.errors:
            raise self.errors.pop(0)
