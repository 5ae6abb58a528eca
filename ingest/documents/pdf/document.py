"""A PDF that is open."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import contextlib
from collections.abc import Generator, Iterator

from pypdfium2 import PdfiumError, PdfPage

from ingest.documents.canvas import Canvas
from ingest.documents.page import Bookmark, Page, Word
from ingest.documents.pdf.drawing import draw, has_visible_text, is_blank
from ingest.documents.pdf.opening import has_end_mark, open_pdf
from ingest.documents.pdf.outline import page_label, read_outline
from ingest.documents.pdf.page_text import PageText, read_text, read_words, with_fields
from ingest.documents.problem import DocumentError, Problem
from ingest.documents.source import Source
from ingest.documents.wants import RenderBudget, Wants

PAGES_PER_OPENING = 100
"""PDFium keeps fonts and objects of all pages that it has read, until the document is closed."""

NO_INK = (
    "It has text, and its picture is blank: most likely its fonts are neither in the file nor on this machine. "
    "Install fonts for its language (Debian, Ubuntu: apt-get install fonts-noto-cjk) and ingest it again."
)

NO_END = (
    "The file does not end as a PDF does: its last pages may be missing or blank. Fetch it again if they are."
)


def is_pdf(source: Source) -> bool:
    """Some have a few bytes of something else before their header."""
    return b"%PDF-" in source.head[:1024]


class Pdf:
    """PDFs as an OpenedDocument."""

    def __init__(self, source: Source, passwords: tuple[str, ...]) -> None:
        self._source = source
        self._passwords = passwords
        self._pdf = open_pdf(source, passwords)
        self._pages_read = 0
        self.page_count = len(self._pdf)
        self._is_complete = has_end_mark(source)
        self._outline: list[Bookmark] | None = None  # it takes long where a document has thousands of pages

    def read(self, number: int, wants: Wants, canvas: Canvas) -> Page:
        with self._page(number) as page:
            warnings = [*self._draw(page, wants.image, canvas)] if wants.image else []
            content = self._read_text(page, number) if wants.text else PageText(None)
        if number == self.page_count and not self._is_complete:
            warnings.append(Problem("truncated", NO_END))
        return Page(
            number,
            page_label(self._pdf, number - 1),
            text=content.text,
            headings=content.headings,
            warnings=(*warnings, *content.warnings),
        )

    def words(self, number: int) -> list[Word]:
        with self._page(number) as page, with_fields(self._pdf, page, number - 1) as filled_in:
            return read_words(filled_in)

    def outline(self) -> list[Bookmark]:
        if self._outline is None:
            self._outline = read_outline(self._pdf)
        return self._outline

    def close(self) -> None:
        self._pdf.close()

    def _read_text(self, page: PdfPage, number: int) -> PageText:
        outline = self.outline()
        bookmarks = [bookmark for bookmark in outline if bookmark.page == number]
        with with_fields(self._pdf, page, number - 1) as filled_in:
            return read_text(filled_in, bookmarks, has_outline=bool(outline))

    def _draw(self, page: PdfPage, budget: RenderBudget, canvas: Canvas) -> Iterator[Problem]:
        draw(page, budget, canvas)
        if is_blank(canvas) and has_visible_text(page):
            yield Problem("no_ink", NO_INK)

    @contextlib.contextmanager
    def _page(self, number: int) -> Generator[PdfPage]:
        if self._pages_read >= PAGES_PER_OPENING:
            self._pdf.close()
            self._pdf = open_pdf(self._source, self._passwords)
            self._pages_read = 0
        self._pages_read += 1
        try:
            page = self._pdf[number - 1]
        except PdfiumError as error:
            raise DocumentError("unreadable", "The page is damaged or missing in the file.") from error
        try:
            yield page
        finally:
            page.close()
