"""The Collections of an API process: opened when somebody asks for them first, so that the API starts without."""

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.client.queue import JobQueue
from jobs.search.documents import (
    CollectionInfo,
    DocumentInfo,
    DocumentList,
    PageRef,
    PageText,
    PageWord,
)
from jobs.search.query import SearchQuery
from jobs.search.question import PreparedAnswer, Question
from jobs.search.reply import Heatmap, SearchReply
from jobs.settings import Settings

if TYPE_CHECKING:
    from ingest.search.service import CollectionSearch


class LateCollections:
    """Importing qdrant-client takes more than a second, and most API processes never search."""

    def __init__(self, settings: Settings, queue: JobQueue) -> None:
        self._settings = settings
        self._queue = queue
        self._closing = contextlib.AsyncExitStack()
        self._opening: asyncio.Task[CollectionSearch] | None = None

    async def aclose(self) -> None:
        """Before the queue is closed."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
        await self._closing.aclose()

    async def search(self, query: SearchQuery) -> SearchReply:
        return await (await self._opened()).search(query)

    async def prepare(self, question: Question) -> PreparedAnswer:
        return await (await self._opened()).prepare(question)

    async def heatmap(self, page: PageRef, text: str) -> Heatmap:
        return await (await self._opened()).heatmap(page, text)

    async def page_image(self, page: PageRef, max_pixels: int) -> bytes:
        return await (await self._opened()).page_image(page, max_pixels)

    async def page_words(self, page: PageRef, query: str = "") -> tuple[PageWord, ...]:
        return await (await self._opened()).page_words(page, query)

    async def page_text(self, page: PageRef) -> PageText:
        return await (await self._opened()).page_text(page)

    async def file(self, collection: str, document: str) -> Path:
        return await (await self._opened()).file(collection, document)

    async def list_collections(self) -> tuple[CollectionInfo, ...]:
        return await (await self._opened()).list_collections()

    async def list_documents(
        self, collection: str, *, after: str | None = None, limit: int = 100
    ) -> DocumentList:
        return await (await self._opened()).list_documents(collection, after=after, limit=limit)

    async def document(self, collection: str, document: str) -> DocumentInfo:
        return await (await self._opened()).document(collection, document)

    async def remove_document(self, collection: str, document: str) -> None:
        await (await self._opened()).remove_document(collection, document)

    async def remove_collection(self, collection: str) -> None:
        await (await self._opened()).remove_collection(collection)

    async def _opened(self) -> "CollectionSearch":
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> "CollectionSearch":
        opened_search = await asyncio.to_thread(_import)
        return await self._closing.enter_async_context(opened_search(self._settings, self._queue))


def _import():  # noqa: ANN202 - its type is what is imported
    from ingest.search.opened import opened_search

    return opened_search
