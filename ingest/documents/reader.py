"""Reading documents in processes of their own, which a broken file may take down."""

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeVar

from ingest.documents.fitting import room
from ingest.documents.page import Bookmark, Page, PageImage, Word
from ingest.documents.problem import DocumentError, Problem
from ingest.documents.process.messages import (
    Close,
    DocumentRef,
    Failed,
    Open,
    Opened,
    OutlineRead,
    PageRead,
    ReadOutline,
    ReadPage,
    ReadWords,
    Reply,
    Request,
    WordsRead,
)
from ingest.documents.process.process import ProcessLost, ReadingProcess
from ingest.documents.source import FileVersion
from ingest.documents.wants import RenderBudget, Wants
from jobs.process.cancelling import cancel_and_wait
from jobs.process.parent_watch import ParentPipe

MAX_LOSSES = 3
"""Pages in a row that take their process down: the rest of the document is not tried."""

AHEAD = 2
"""Pages that a process is asked for: it reads one while the other is fetched."""

T = TypeVar("T", Opened, PageRead, WordsRead, OutlineRead)

log = logging.getLogger(__name__)


class DocumentReader:
    """A few spawned processes, started when they are first needed. A document is read by one of them at a time; read
    several at once to use them all. All methods raise DocumentError except `read`, which gives its Problem; all raise
    ReadingUnavailable where no process can be started.
    """

    def __init__(
        self, processes: int = 2, *, page_timeout_s: float = 60, memory_limit_bytes: int = 2 << 30
    ) -> None:
        """page_timeout_s, memory_limit_bytes: a process that takes more for a page is ended."""
        self._pipe = ParentPipe()
        self._processes = [
            ReadingProcess(
                self._pipe.read_fd, timeout_s=page_timeout_s, memory_limit_bytes=memory_limit_bytes
            )
            for _ in range(processes)
        ]
        self._free = asyncio.LifoQueue[ReadingProcess]()  # one that runs already comes first
        for process in self._processes:
            self._free.put_nowait(process)
        self._settling: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "DocumentReader":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the processes."""
        await cancel_and_wait(*self._settling)
        for process in self._processes:
            await process.aclose()
        self._pipe.close()

    async def read(
        self,
        path: Path,
        wants: Wants,
        skip: frozenset[int] = frozenset(),
        version: FileVersion | None = None,
    ) -> AsyncGenerator[Page | Problem]:
        """The pages in order, but those in `skip`. A Problem with a page stands for that page; one without is the
        whole file's and the last that comes. Close it (aclose) when you leave it early.

        version: what the file was when it was hashed; another one now is the Problem "changing".
        """
        async with self._process() as process:
            try:
                opened = await _ask(process, Open(_ref(path, wants.passwords, version)), Opened)
            except DocumentError as error:
                yield error.problem
                return
            ref = _ref(path, wants.passwords, opened.version)
            numbers = (each for each in range(1, opened.page_count + 1) if each not in skip)
            async with contextlib.aclosing(_pages(process, ref, wants, numbers)) as pages:
                async for each in pages:
                    yield each
            if process.pid is not None:
                await process.send(Close())

    async def page_count(self, path: Path, passwords: tuple[str, ...] = ()) -> int:
        async with self._process() as process:
            return (await _ask(process, Open(_ref(path, passwords)), Opened)).page_count

    async def render(
        self, path: Path, page: int, budget: RenderBudget, passwords: tuple[str, ...] = ()
    ) -> PageImage:
        """One page's picture, for viewers and thumbnails."""
        image = (await self.page(path, page, Wants(budget, passwords=passwords))).image
        if image is None:
            raise DocumentError("unsupported", "It has no picture: it is a text.", page)
        return image

    async def page(self, path: Path, number: int, wants: Wants) -> Page:
        """One page, with what is wanted of it."""
        async with self._process() as process:
            request = _page_request(process, _ref(path, wants.passwords), number, wants, slot=0)
            reply = await _ask(process, request, PageRead)
            return _with_image(reply.page, _image(process, request, reply))

    async def words(self, path: Path, page: int, passwords: tuple[str, ...] = ()) -> list[Word]:
        """Of one page, in reading order."""
        async with self._process() as process:
            return (await _ask(process, ReadWords(_ref(path, passwords), page), WordsRead)).words

    async def outline(self, path: Path, passwords: tuple[str, ...] = ()) -> list[Bookmark]:
        """The document's bookmarks."""
        async with self._process() as process:
            return (await _ask(process, ReadOutline(_ref(path, passwords)), OutlineRead)).bookmarks

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncGenerator[ReadingProcess]:
        process = await self._free.get()
        try:
            yield process
        finally:
            if process.outstanding:
                task = asyncio.create_task(self._settle(process))
                self._settling.add(task)
                task.add_done_callback(self._settling.discard)
            else:
                self._free.put_nowait(process)

    async def _settle(self, process: ReadingProcess) -> None:
        """Whoever asked has left: wait for the answers, and free the process."""
        with contextlib.suppress(ProcessLost):
            while process.outstanding:
                await process.receive()
        self._free.put_nowait(process)


async def _pages(
    process: ReadingProcess, ref: DocumentRef, wants: Wants, numbers: Iterator[int]
) -> AsyncGenerator[Page | Problem]:
    asked = deque[ReadPage]()
    losses = sent = 0
    while True:
        while len(asked) < AHEAD and (number := next(numbers, None)) is not None:
            request = _page_request(process, ref, number, wants, slot=sent % AHEAD)
            await process.send(request)
            asked.append(request)
            sent += 1
        if not asked:
            return
        request = asked.popleft()
        try:
            reply = _expect(await process.receive(), PageRead)
        except ProcessLost as lost:
            yield Problem(lost.kind, f"{lost}", request.number)
            losses += 1
            if losses == MAX_LOSSES:
                yield Problem(
                    "crashed", f"{losses} pages in a row took their process down. The rest was not tried."
                )
                return
            numbers = chain([each.number for each in asked], numbers)
            asked.clear()
        except DocumentError as error:
            yield error.problem
            if error.problem.page is None:
                return
            losses = 0
        else:
            losses = 0
            yield _with_image(reply.page, _image(process, request, reply))


def _page_request(
    process: ReadingProcess, ref: DocumentRef, number: int, wants: Wants, slot: int
) -> ReadPage:
    size = room(wants.image) if wants.image else 0
    process.memory.grow(AHEAD * size)
    return ReadPage(ref, number, wants, slot * size, size)


def _image(process: ReadingProcess, request: ReadPage, reply: PageRead) -> PageImage | None:
    if reply.size is None:
        return None
    width, height = reply.size
    with process.memory.part(request.offset, request.offset + width * height * 3) as pixels:
        return PageImage(width, height, bytes(pixels))


def _with_image(page: Page, image: PageImage | None) -> Page:
    return Page(page.number, page.label, image, page.text, page.headings, page.warnings)


async def _ask(process: ReadingProcess, request: Request, kind: type[T]) -> T:
    """Raises: DocumentError."""
    try:
        return _expect(await process.ask(request), kind)
    except ProcessLost as lost:
        page = request.number if isinstance(request, ReadPage | ReadWords) else None
        raise DocumentError(lost.kind, f"{lost}", page) from lost


def _expect(reply: Reply, kind: type[T]) -> T:
    """Raises: DocumentError."""
    if isinstance(reply, Failed):
        if reply.traceback:
            log.error("A document cannot be read for an error of our own:\n%s", reply.traceback)
        raise DocumentError(reply.problem.kind, reply.problem.message, reply.problem.page)
    assert isinstance(reply, kind)
    return reply


def _ref(path: Path, passwords: tuple[str, ...], version: FileVersion | None = None) -> DocumentRef:
    return DocumentRef(os.fsencode(path.absolute()), passwords, version)
