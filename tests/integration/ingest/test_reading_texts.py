"""Texts come from the processes that read documents as they do from the functions that they call."""

import gzip
from pathlib import Path

import pytest

from ingest.documents.page import Bookmark, Heading, Page
from ingest.documents.problem import Problem
from ingest.documents.reader import DocumentReader
from ingest.documents.wants import RenderBudget, Wants
from tests.support.documents.pdf_files import PdfPages, text_at
from tests.support.documents.zipped import docx, paragraph


async def read(reader: DocumentReader, path: Path, wants: Wants) -> list[Page | Problem]:
    return [each async for each in reader.read(path, wants)]


async def test_text_words_and_bookmarks_come_from_a_process(tmp_path: Path):
    pdf = (
        PdfPages()
        .page(
            text_at(50, 700, "A heading", 20)
            + text_at(50, 660, "and its words, which are many more than that.")
        )
        .page(rotate=90)
        .bookmark("A heading", 1)
        .field("Ada Lovelace", (100, 100, 300, 120))
        .file()
    )
    (tmp_path / "a.pdf").write_bytes(pdf)
    (tmp_path / "a.docx").write_bytes(docx(paragraph("A chapter", "Chapter")))
    (tmp_path / "a.md.gz").write_bytes(gzip.compress("# Größe".encode("cp1252")))

    async with DocumentReader(processes=1) as reader:
        first, second = await read(reader, tmp_path / "a.pdf", Wants(RenderBudget(10_000), text=True))
        words = await reader.words(tmp_path / "a.pdf", 1)
        outline = await reader.outline(tmp_path / "a.pdf")
        (chapter,) = await read(reader, tmp_path / "a.docx", Wants(text=True))
        (markdown,) = await read(reader, tmp_path / "a.md.gz", Wants(text=True))

    assert isinstance(first, Page) and isinstance(second, Page)
    assert first.text == "A heading\n\nand its words, which are many more than that."
    assert first.headings == (Heading("A heading", 0, 0),)
    assert first.image is not None and second.text == "Ada Lovelace"
    assert [word.text for word in words[:2]] == ["A", "heading"]
    assert words[1].left == pytest.approx(0.11, abs=0.02) and words[1].start == 2
    assert outline == [Bookmark("A heading", 1, 0)]
    assert isinstance(chapter, Page) and chapter.text == "A chapter"
    assert isinstance(markdown, Page) and markdown.headings == (Heading("Größe", 0, 0),)
    assert [warning.kind for warning in markdown.warnings] == ["guessed_encoding"]
