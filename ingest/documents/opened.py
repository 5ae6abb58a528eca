"""What every format gives: a document that is open. It lives in a process of its own (`process/`), on one thread."""

from typing import Protocol

from ingest.documents.page import Bookmark, Page, Word
from ingest.documents.wants import Wants


class OpenedDocument(Protocol):
    """A document of any format. Pages count from 1. All methods raise DocumentError."""

    @property
    def page_count(self) -> int:
        """At least 1."""
        ...

    def read(self, number: int, wants: Wants) -> Page:
        """image is None where the format has none (a text), text where it has none (a photo)."""
        ...

    def words(self, number: int) -> list[Word]:
        """In reading order; empty where words have no places."""
        ...

    def outline(self) -> list[Bookmark]:
        """In the document's order."""
        ...

    def close(self) -> None: ...
