"""Documents read in processes of their own: order, what takes such a process down, and that none stays behind."""

import asyncio
import contextlib
import gzip
import os
import signal
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.documents.page import Page
from ingest.documents.problem import DocumentError, Problem
from ingest.documents.reader import MAX_LOSSES, DocumentReader
from ingest.documents.source import FileVersion
from ingest.documents.wants import RenderBudget, Wants
from jobs.process.processor import NICE
from tests.support.documents.pdf import PdfPage, page_of, pdf, text_pdf
from tests.support.documents.reading import COLQWEN, read_page
from tests.support.waiting import within

PICTURE = Wants(COLQWEN)
FAIR_S = 30
"""Time limit of a page that an honest one keeps on a machine that runs eight other programs."""

SLOW = PdfPage(drawing=b"0 0 590 800 re f\n" * 100_000)
"""Takes half a minute of a core to draw."""


def bomb() -> PdfPage:
    """An image of 200 million pixels in a few kilobytes."""
    side = 14_000
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(bytes(side * 200)) for _ in range(side // 200)) + packer.flush()
    parts = b"q 595 0 0 842 0 0 cm BI /W %d /H %d /CS /G /BPC 8 /F /Fl ID " % (side, side), data, b" EI Q"
    return PdfPage(drawing=b"".join(parts))


@pytest.fixture
async def reader() -> AsyncIterator[DocumentReader]:
    async with DocumentReader(1, page_timeout_s=FAIR_S) as reader:
        yield reader


def saved(folder: Path, data: bytes, name: str = "file.pdf") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


async def events(
    reader: DocumentReader, path: Path, wants: Wants = PICTURE, **options: object
) -> list[Page | Problem]:
    return [each async for each in reader.read(path, wants, **options)]  # pyright: ignore[reportArgumentType]


def outline_of(found: list[Page | Problem]) -> list[int | tuple[str, int | None]]:
    """Numbers of pages; kinds and pages of problems."""
    return [each.number if isinstance(each, Page) else (each.kind, each.page) for each in found]


def processes(reader: DocumentReader) -> list[int]:
    return [process.pid for process in reader._processes if process.pid is not None]


async def test_pages_come_in_order_with_their_pictures_but_those_that_are_skipped(
    reader: DocumentReader, tmp_path: Path
):
    path = saved(tmp_path, pdf([page_of(f"page {number}") for number in range(1, 8)], labels={0: "/S /r"}))

    found = await events(reader, path, Wants(COLQWEN, text=True), skip=frozenset({1, 4}))

    assert outline_of(found) == [2, 3, 5, 6, 7]
    for page in found:
        assert isinstance(page, Page) and page.image is not None
        assert page.label == ["", "i", "ii", "iii", "iv", "v", "vi", "vii"][page.number]
        assert page.text is not None and f"page {page.number}" in page.text
        picture = read_page(path, page.number)[1]
        assert (page.image.height, page.image.width) == picture.shape[:2]
        assert page.image.pixels == picture.tobytes()


async def test_the_process_leaves_the_processor_to_others(reader: DocumentReader, tmp_path: Path):
    await reader.page_count(saved(tmp_path, text_pdf("text")))

    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in processes(reader)] == [NICE]


async def test_a_page_whose_process_dies_is_a_problem_of_that_page(reader: DocumentReader, tmp_path: Path):
    path = saved(tmp_path, pdf([page_of("one"), SLOW, page_of("three"), page_of("four")]))
    found = list[Page | Problem]()

    async for each in reader.read(path, PICTURE):
        found.append(each)
        if len(found) == 1:  # it is at the second page now
            os.kill(processes(reader)[0], signal.SIGKILL)

    assert outline_of(found) == [1, ("crashed", 2), 3, 4]


async def test_a_page_that_takes_too_long_is_a_problem_of_that_page(tmp_path: Path):
    path = saved(tmp_path, pdf([SLOW, page_of("two")]))

    async with DocumentReader(1, page_timeout_s=5) as reader:
        await reader.page_count(path)
        found = await events(reader, path)

    assert outline_of(found)[0] == ("timeout", 1)
    assert "5 s" in found[0].message  # pyright: ignore[reportAttributeAccessIssue]
    assert outline_of(found)[1:] == [2]


async def test_a_page_that_takes_too_much_memory_is_a_problem_of_that_page(tmp_path: Path):
    path = saved(tmp_path, pdf([page_of("one"), bomb(), page_of("three")]))

    async with DocumentReader(1, page_timeout_s=FAIR_S, memory_limit_bytes=200 << 20) as reader:
        found = await events(reader, path)

    assert outline_of(found) == [1, ("out_of_memory", 2), 3]


async def test_a_document_that_takes_down_one_process_after_the_other_is_given_up(tmp_path: Path):
    path = saved(tmp_path, pdf([*[SLOW] * (MAX_LOSSES + 2), page_of("never reached")]))

    async with DocumentReader(1, page_timeout_s=1) as reader:
        found = outline_of(await events(reader, path))

    assert found == [*(("timeout", number) for number in range(1, MAX_LOSSES + 1)), ("crashed", None)]


async def test_a_broken_file_is_one_problem_and_the_next_is_read(reader: DocumentReader, tmp_path: Path):
    broken = saved(tmp_path, b"%PDF-1.7 nothing", "broken")
    good = saved(tmp_path, gzip.compress(text_pdf("text")), "good")

    assert outline_of(await events(reader, broken)) == [("truncated", None)]
    assert outline_of(await events(reader, tmp_path / "none")) == [("missing", None)]
    assert outline_of(await events(reader, good)) == [1]
    assert len(processes(reader)) == 1


async def test_a_file_that_is_written_to_while_it_is_read_is_changing(reader: DocumentReader, tmp_path: Path):
    path = saved(tmp_path, text_pdf(*["text"] * 30))
    found = list[Page | Problem]()

    async for each in reader.read(path, PICTURE):
        found.append(each)
        if len(found) == 1:
            with path.open("ab") as file:
                file.write(b" ")

    assert outline_of(found)[-1] == ("changing", None)
    assert len(found) < 6


async def test_a_file_that_is_not_the_one_that_was_hashed_is_changing(reader: DocumentReader, tmp_path: Path):
    path = saved(tmp_path, text_pdf("text"))
    hashed = FileVersion.of(path.stat())

    assert outline_of(await events(reader, path, version=hashed)) == [1]
    os.utime(path, ns=(0, hashed.mtime_ns + 1))
    assert outline_of(await events(reader, path, version=hashed)) == [("changing", None)]


async def test_a_file_that_was_replaced_is_opened_again(reader: DocumentReader, tmp_path: Path):
    assert await reader.page_count(saved(tmp_path, text_pdf("text"))) == 1
    assert await reader.page_count(saved(tmp_path, text_pdf("text", "more"))) == 2


async def test_passwords_reach_the_document(reader: DocumentReader, tmp_path: Path):
    path = saved(tmp_path, text_pdf("secret", password="right"))

    assert outline_of(await events(reader, path)) == [("encrypted", None)]
    assert outline_of(await events(reader, path, Wants(COLQWEN, passwords=("wrong", "right")))) == [1]
    assert outline_of(await events(reader, path)) == [("encrypted", None)]


async def test_a_name_that_is_no_unicode_is_read(reader: DocumentReader, tmp_path: Path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xff.pdf"))
    path.write_bytes(text_pdf("text"))

    assert outline_of(await events(reader, path)) == [1]


async def test_who_leaves_early_frees_the_process_for_others(reader: DocumentReader, tmp_path: Path):
    path = saved(tmp_path, text_pdf(*["text"] * 30))

    async with contextlib.aclosing(reader.read(path, PICTURE)) as pages:
        await anext(pages)
    pid = processes(reader)

    assert await within(reader.page_count(path)) == 30
    assert processes(reader) == pid


async def test_a_reader_that_is_cancelled_frees_the_process_and_mixes_up_no_answers(
    reader: DocumentReader, tmp_path: Path
):
    path = saved(tmp_path, text_pdf(*["text"] * 9))
    await reader.page_count(path)

    for turns in range(30):
        task = asyncio.create_task(events(reader, path))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await within(reader.page_count(path)) == 9


async def test_two_documents_are_read_at_once_by_two_processes(tmp_path: Path):
    path = saved(tmp_path, text_pdf(*["text"] * 5))

    async with (
        DocumentReader(2, page_timeout_s=FAIR_S) as reader,
        contextlib.aclosing(reader.read(path, PICTURE)) as first,
    ):
        await anext(first)
        assert outline_of(await within(events(reader, path))) == [1, 2, 3, 4, 5]
        assert len(set(processes(reader))) == 2


async def test_a_viewer_gets_one_page_as_large_as_it_asks_for(reader: DocumentReader, tmp_path: Path):
    path = saved(tmp_path, text_pdf("one", "two"))

    thumbnail = await reader.render(path, 2, RenderBudget(10**6, max_edge=100))
    zoomed = await reader.render(path, 2, RenderBudget(4 * 10**6))

    assert (thumbnail.width, thumbnail.height, len(thumbnail.pixels)) == (70, 100, 21_000)
    assert 3.9e6 < zoomed.width * zoomed.height <= 4e6
    assert len(zoomed.pixels) == zoomed.width * zoomed.height * 3
    with pytest.raises(DocumentError) as raised:
        await reader.render(path, 3, COLQWEN)
    assert (raised.value.problem.kind, raised.value.problem.page) == ("missing", 3)


async def test_no_process_stays_behind(tmp_path: Path):
    path = saved(tmp_path, pdf([SLOW]))
    async with DocumentReader(1) as reader:
        task = asyncio.create_task(events(reader, path))
        while not processes(reader):
            await asyncio.sleep(0.01)
        (pid,) = processes(reader)
        task.cancel()
        await asyncio.wait([task])

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
