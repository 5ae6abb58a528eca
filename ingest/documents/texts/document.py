"""A text that is open."""

from collections.abc import Sequence

from ingest.documents.canvas import Canvas
from ingest.documents.page import Bookmark, Page, Word
from ingest.documents.problem import Problem
from ingest.documents.texts.pages import TextPage
from ingest.documents.wants import Wants


class TextDocument:
    """Texts as an OpenedDocument. They have no pictures."""

    def __init__(self, pages: Sequence[TextPage], warnings: tuple[Problem, ...] = ()) -> None:
        """warnings: of the whole file; they come with its first page."""
        self._pages = pages
        self._warnings = warnings
        self.page_count = len(pages)

    def read(self, number: int, wants: Wants, canvas: Canvas) -> Page:
        page = self._pages[number - 1]
        warnings = self._warnings if number == 1 else ()
        if not wants.text:
            return Page(number, str(number), warnings=warnings)
        return Page(number, str(number), text=page.text, headings=page.headings, warnings=warnings)

    def words(self, number: int) -> list[Word]:
        return []

    def outline(self) -> list[Bookmark]:
        return [
            Bookmark(heading.title, number, heading.level)
            for number, page in enumerate(self._pages, 1)
            for heading in page.headings
        ]

    def close(self) -> None:
        pass
