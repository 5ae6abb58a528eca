"""One document: read once for both kinds of points, wherever nothing of either is done yet."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from ingest.collections.layout import Kind
from ingest.documents.page import Page, PageImage
from ingest.documents.problem import DocumentError, Problem
from ingest.documents.process.process import ReadingUnavailable
from ingest.documents.source import FileVersion
from ingest.documents.wants import RenderBudget, Wants
from ingest.pipeline.pages import PageStage
from ingest.pipeline.progress import Progress
from ingest.pipeline.shelf import BlobShelf
from ingest.pipeline.storing import Ledger
from ingest.pipeline.texts import SECTION_PAGES, TextStage
from ingest.pipeline.waits import PipelineStopped
from ingest.pipeline.work import DocumentWork, Target
from ingest.text.chunk import Chunk
from ingest.text.headings import HeadingPath
from jobs.content import BlobPart

MAX_SECTIONS = 64
"""Sections of text on their way."""


class Reader(Protocol):
    """ingest.documents.reader.DocumentReader, or a fake."""

    def read(
        self, path: Path, wants: Wants, skip: frozenset[int] = frozenset(), version: FileVersion | None = None
    ) -> AsyncGenerator[Page | Problem]: ...

    async def render(
        self, path: Path, page: int, budget: RenderBudget, passwords: tuple[str, ...] = ()
    ) -> PageImage: ...


class Pass(NamedTuple):
    """Once through a document."""

    kinds: tuple[Kind, ...]
    skip: frozenset[int]


def passes(done: Mapping[Kind, set[int]]) -> list[Pass]:
    """done: of each kind that is wanted, the pages that are. Kinds of which nothing is done share a pass."""
    found, fresh = list[Pass](), tuple[Kind, ...]()
    for kind, pages in done.items():
        alone: tuple[Kind, ...] = (kind,)
        if pages:
            found.append(Pass(alone, frozenset(pages)))
        else:
            fresh += alone
    return [*found, Pass(fresh, frozenset())] if fresh else found


class _State:
    """What has become of a document so far."""

    def __init__(self, last_page: int) -> None:
        self.last_page = last_page
        self.headings = HeadingPath()
        """Above the next page of text."""
        self.problem: Problem | None = None
        """Of the file as a whole."""
        self.was_left = False
        """It was asked to stop before the end."""


class DocumentStage:
    """Reads documents, and hands their pages on as long as there is room for them."""

    def __init__(
        self,
        collection: str,
        targets: Mapping[Kind, Target],
        reader: Reader,
        ledger: Ledger,
        shelf: BlobShelf,
        pages: PageStage | None,
        texts: TextStage | None,
        progress: Progress,
        *,
        window: int,
    ) -> None:
        """window: pages that are on their way at most."""
        self._collection = collection
        self._targets = targets
        self._reader = reader
        self._ledger = ledger
        self._shelf = shelf
        self._pages = pages
        self._texts = texts
        self._progress = progress
        self._window = asyncio.Semaphore(window)
        self._sections = asyncio.Semaphore(MAX_SECTIONS)
        self._stopping = False

    def stop(self) -> None:
        """No more pages are read. Those that were go their way."""
        self._stopping = True

    async def run(self, work: DocumentWork, was_read: Callable[[], None]) -> None:
        """was_read: called when another document may be read. Raises PipelineStopped, and what the ledger raises."""
        self._progress.documents_begun += 1
        state = _State(0)
        async with asyncio.TaskGroup() as units:
            try:
                for each in self._open(work, state):
                    await self._read(work, each, state, units)
            except ReadingUnavailable as error:
                raise PipelineStopped(f"Documents cannot be read: {error}") from error
            finally:
                was_read()
        self._end(work, state)

    def _open(self, work: DocumentWork, state: _State) -> list[Pass]:
        done: dict[Kind, set[int]] = {}
        for kind in work.kinds:
            fingerprint = self._targets[kind].fingerprint.key
            self._ledger.open_document(self._collection, kind, work.document, fingerprint)
            done[kind] = self._ledger.done_pages(self._collection, kind, work.document)
            state.last_page = max(state.last_page, *done[kind], 0)
        return passes(done)

    async def _read(self, work: DocumentWork, each: Pass, state: _State, units: asyncio.TaskGroup) -> None:
        budget = self._targets["visual"].budget if "visual" in each.kinds else None
        wants = Wants(budget, "text" in each.kinds, work.passwords)
        # Pages that are done may have the headings of others.
        skip = frozenset[int]() if wants.text else each.skip
        section: list[Page] = []
        async with contextlib.aclosing(self._reader.read(work.path, wants, skip, work.version)) as found:
            async for page in found:
                if isinstance(page, Problem):
                    if page.page not in each.skip:
                        self._note(work, each.kinds, page, state)
                    continue
                if page.number in each.skip:
                    await self._send_section(work, section, state, units)
                    state.headings.enter_all(page.headings)
                else:
                    state.last_page = max(state.last_page, page.number)
                    await self._take(work, each.kinds, page, section, state, units)
                if self._stopping:
                    state.was_left = True
                    break
        await self._send_section(work, section, state, units)

    async def _take(
        self,
        work: DocumentWork,
        kinds: Sequence[Kind],
        page: Page,
        section: list[Page],
        state: _State,
        units: asyncio.TaskGroup,
    ) -> None:
        for kind in kinds:
            self._progress.of(kind).read += 1
            if page.warnings:
                self._progress.warnings += len(page.warnings)
                self._ledger.page_warned(self._collection, kind, work.document, page.number, page.warnings)
        bare = replace(page, image=None)
        if "visual" in kinds and page.image is None:
            self._ledger.pages_done(self._collection, "visual", work.document, [page.number])
        elif page.image is not None and self._pages is not None:
            await self._window.acquire()
            blob = await self._shelf.put(page.image)
            units.create_task(self._send_page(work, bare, blob))
        if "text" in kinds:
            section.append(bare)
            if len(section) == SECTION_PAGES:
                await self._send_section(work, section, state, units)

    async def _send_page(self, work: DocumentWork, page: Page, blob: BlobPart) -> None:
        assert self._pages is not None
        budget = self._targets["visual"].budget
        redraw = functools.partial(self._reader.render, work.path, page.number, budget, work.passwords)
        try:
            problem = await self._pages.run(work, page, blob, redraw)
        except DocumentError as error:
            problem = replace(error.problem, page=page.number)
        finally:
            self._window.release()
        if problem is not None:
            self._fail(work, "visual", problem)

    async def _send_section(
        self, work: DocumentWork, section: list[Page], state: _State, units: asyncio.TaskGroup
    ) -> None:
        """It is empty afterwards."""
        if not section:
            return
        assert self._texts is not None
        await self._sections.acquire()
        pages = tuple(section)
        section.clear()
        chunks = await self._texts.chunks(pages, state.headings)
        units.create_task(self._store_section(work, pages, chunks))

    async def _store_section(
        self, work: DocumentWork, pages: Sequence[Page], chunks: Sequence[Chunk]
    ) -> None:
        assert self._texts is not None
        try:
            problems = await self._texts.run(work, pages, chunks)
        finally:
            self._sections.release()
        for problem in problems:
            self._fail(work, "text", problem)

    def _note(self, work: DocumentWork, kinds: Sequence[Kind], problem: Problem, state: _State) -> None:
        if problem.page is None:
            state.problem = problem
            return
        state.last_page = max(state.last_page, problem.page)
        for kind in kinds:
            self._fail(work, kind, problem)

    def _fail(self, work: DocumentWork, kind: Kind, problem: Problem) -> None:
        assert problem.page is not None
        self._ledger.page_failed(self._collection, kind, work.document, problem.page, problem)
        self._progress.of(kind).pages_failed += 1

    def _end(self, work: DocumentWork, state: _State) -> None:
        if state.problem is not None:
            for kind in work.kinds:
                self._ledger.document_failed(self._collection, kind, work.document, state.problem)
            self._progress.documents_failed += 1
        elif not state.was_left:
            for kind in work.kinds:
                self._ledger.document_done(self._collection, kind, work.document, state.last_page)
            self._progress.documents_done += 1
