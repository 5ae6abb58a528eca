"""Reading documents in processes of their own, which a broken file may take down."""

from collections.abc import AsyncGenerator
from pathlib import Path

from ingest.documents.page import Bookmark, Page, PageImage, Word
from ingest.documents.problem import Problem
from ingest.documents.source import FileVersion
from ingest.documents.wants import RenderBudget, Wants


class DocumentReader:
    """A few spawned processes, started when they are first needed. A document is read by one of them at a time; read
    several at once to use them all. All methods raise DocumentError except `read`, which gives its Problem.
    """

    def __init__(
        self, processes: int = 2, *, page_timeout_s: float = 60, memory_limit_bytes: int = 2 << 30
    ) -> None:
        """page_timeout_s, memory_limit_bytes: a process that takes more for a page is ended."""
        raise NotImplementedError

    def read(
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
        raise NotImplementedError

    async def page_count(self, path: Path, passwords: tuple[str, ...] = ()) -> int:
        raise NotImplementedError

    async def render(
        self, path: Path, page: int, budget: RenderBudget, passwords: tuple[str, ...] = ()
    ) -> PageImage:
        """One page's picture, for viewers and thumbnails."""
        raise NotImplementedError

    async def words(self, path: Path, page: int, passwords: tuple[str, ...] = ()) -> list[Word]:
        raise NotImplementedError

    async def outline(self, path: Path, passwords: tuple[str, ...] = ()) -> list[Bookmark]:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Ends the processes."""
        raise NotImplementedError
