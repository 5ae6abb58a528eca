"""What every format gives: a document that is open. It lives in a process of its own (`process/`), on one thread."""

from typing import Protocol

from ingest.documents.canvas import Canvas
from ingest.documents.page import Bookmark, Page, Word
from ingest.documents.wants import Wants


class OpenedDocument(Protocol):
    """A document of any format. Pages count from 1. All methods raise DocumentError."""

    @property
    def page_count(self) -> int:
        """At least 1."""
        ...

    def read(self, number: int, wants: Wants, canvas: Canvas) -> Page:
        """text is None where the format has none (a photo). The picture is drawn on the canvas, if it is wanted and the
        format has one; the page's image stays None.
        """
        ...

    def words(self, number: int) -> list[Word]:
        """In reading order; empty where words have no places."""
        ...

    def outline(self) -> list[Bookmark]:
        """In the document's order."""
        ...

    def close(self) -> None: ...
