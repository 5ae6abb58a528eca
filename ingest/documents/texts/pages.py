"""Puts the pages of a text together."""

from collections.abc import Iterable
from typing import NamedTuple

from ingest.documents.boundaries import Boundaries
from ingest.documents.page import Heading
from ingest.documents.printable import printable

MAX_PAGE = 6_000
"""Characters of a page, where the document has no pages of its own: about three printed ones."""
CELL_END = " | "
"""Between the cells of a row."""
MAX_OWN_PAGE = 60_000
"""Characters of a page that the document has."""


class TextPage(NamedTuple):
    """A page without its number."""

    text: str
    headings: tuple[Heading, ...]


class TextPages:
    """Takes a text block by block."""

    def __init__(self) -> None:
        self._pages = list[TextPage]()
        self._blocks = list[str]()
        self._headings = list[Heading]()
        self._length = 0
        self.has_own_pages = False
        """Whether the document says where its pages end."""

    def block(self, text: str) -> None:
        """A paragraph, a row, a list's item; white space within it stays as it is."""
        text = printable(text).rstrip()
        if text.strip():
            self._blocks.append(text)
            self._length += len(text) + 1

    def line(self, text: str) -> None:
        """A line as it is written. Of empty ones that follow one another one stays."""
        text = printable(text).rstrip()
        if text or (self._blocks and self._blocks[-1]):
            self._blocks.append(text)
            self._length += len(text) + 1

    def heading(self, title: str, level: int) -> None:
        """level: 0 for the outermost ones."""
        title = " ".join(printable(title).split())
        if title:
            self._headings.append(Heading(title, self._length, level))
            self.block(title)

    def end_page(self) -> None:
        """Here a page of the document ends."""
        self.has_own_pages = True
        self._close()

    def pages(self) -> list[TextPage]:
        """At least one; none longer than it may be."""
        if self._blocks or not self._pages:
            self._close()
        limit = MAX_OWN_PAGE if self.has_own_pages else MAX_PAGE
        return [part for page in self._pages for part in parted(page, limit)]

    def _close(self) -> None:
        self._pages.append(TextPage("\n".join(self._blocks).rstrip(), tuple(self._headings)))
        self._blocks, self._headings, self._length = [], [], 0


def parted(page: TextPage, limit: int) -> Iterable[TextPage]:
    """In pages of at most `limit` characters, which end before a heading or behind a line, if they can."""
    text, headings = page
    if len(text) <= limit:
        yield page
        return
    boundaries = Boundaries(text, [heading.start for heading in headings])
    start = 0
    while start < len(text):
        end = len(text)
        if end - start > limit:
            end = boundaries.last_between(start + limit // 2, start + limit)
        inside = (
            Heading(each.title, each.start - start, each.level)
            for each in headings
            if start <= each.start < end
        )
        yield TextPage(text[start:end].rstrip(), tuple(inside))
        start = end
