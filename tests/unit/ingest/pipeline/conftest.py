"""A pipeline whose reader, queue and store are in memory, on a real manifest."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from bench.ingest.noop_pages import NoopPages, NoopTexts
from ingest.collections.layout import Kind
from ingest.documents.page import Page
from ingest.documents.problem import Problem
from ingest.manifest.database import Database
from ingest.manifest.manifest import Manifest
from ingest.pipeline import waits
from ingest.pipeline.pipeline import Pipeline
from ingest.pipeline.progress import Summary
from ingest.pipeline.work import DocumentWork, text_target, visual_target
from ingest.text.chunk import CHUNKS_A_PAGE, Chunk
from ingest.text.headings import HeadingPath
from jobs.blobs.folder import BlobFolder
from tests.support.pipeline.fakes import FakeCollections, FakeQueue, FakeReader, image_of


class Lines:
    """A chunk for each line of a page."""

    def chunks(self, pages: Iterable[Page], path: HeadingPath | None = None) -> Iterator[Chunk]:
        path = path or HeadingPath()
        for page in pages:
            for heading in page.headings:
                path.enter(heading)
            for n, match in enumerate(re.finditer(".+", page.text or "")):
                number = page.number * CHUNKS_A_PAGE + n
                yield Chunk(number, match[0], str(path), page.number, page.label, *match.span(), str(path))


def words(text: str) -> tuple[list[int], list[float]]:
    return [len(text)], [1.0]


class Bench:
    """What a test needs of a pipeline, and all that is around it."""

    def __init__(self, folder: Path) -> None:
        self.manifest = Manifest(Database(folder / "manifest.sqlite"))
        self.blobs = BlobFolder(folder / "blobs")
        self.queue = FakeQueue(self.blobs)
        self.collections = FakeCollections()
        self.reader = FakeReader()
        self.window = 8

    def documents(self, **pages: int) -> None:
        """Documents with so many pages, each with an image and a line of text."""
        for name, count in pages.items():
            self.reader.documents[name] = [page(name, number) for number in range(1, count + 1)]

    def pipeline(self, *kinds: Kind) -> Pipeline:
        targets = {
            "visual": visual_target(NoopPages().info),
            "text": text_target(NoopTexts().info, 256, 32, 32),
        }
        return Pipeline(
            "documents",
            [targets[kind] for kind in kinds],
            reader=self.reader,
            queue=self.queue,
            blobs=self.blobs,
            collections=self.collections,
            ledger=self.manifest,
            chunking=Lines(),
            words=words,
            window=self.window,
        )

    async def run(self, *kinds: Kind) -> Summary:
        """All documents, in a pipeline of their own."""
        return await self.pipeline(*kinds).run(self.work(*kinds))

    async def work(self, *kinds: Kind) -> AsyncIterator[DocumentWork]:
        for name in self.reader.documents:
            yield DocumentWork(name, Path(name), (f"/there/{name}",), kinds)

    def states(self) -> dict[tuple[str, str], str]:
        return {(each.document, each.kind): each.state for each in self.manifest.documents("documents")}

    def problems(self) -> list[tuple[str, int | None, str]]:
        return [(each.document, each.page, each.kind) for each in self.manifest.problems("documents")]

    def left(self) -> list[str]:
        """Blobs that nobody has removed."""
        return [path.name for path in self.blobs.path.iterdir()] if self.blobs.path.is_dir() else []


def page(document: str, number: int, **changed: str | None) -> Page:
    text = changed.get("text", f"{document} has a page {number}")
    return Page(number, f"{number}", image_of(document, number), text)


def damaged(number: int) -> Problem:
    return Problem("unreadable", "It is damaged.", number)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(waits, "LONGEST_S", 0.01)
    return Bench(tmp_path)
