"""The Collections (jobs.search) in service: searches, and what there is to be found."""

import asyncio
from pathlib import Path

from qdrant_client import AsyncQdrantClient

from ingest.ask.asker import Asker
from ingest.collections.contents import Contents
from ingest.documents.page import Bookmark
from ingest.pages.heatmap import Heatmaps
from ingest.pages.marked import marked
from ingest.pages.viewer import PageViewer
from ingest.queries.embedding import QueryEmbedder
from ingest.queries.perform import Queue
from ingest.scan.removal import Removal
from ingest.search.found import Found
from ingest.search.rerank import Reranker
from ingest.search.retrieval import Retrieval
from ingest.search.searcher import Searcher
from jobs.content import ImagePart
from jobs.errors import InvalidInput
from jobs.rerank import Passage
from jobs.search.documents import (
    CollectionInfo,
    DocumentInfo,
    DocumentList,
    PageRef,
    PageText,
    PageWord,
)
from jobs.search.errors import UnknownDocument
from jobs.search.query import Kind, SearchQuery
from jobs.search.question import PreparedAnswer, Question
from jobs.search.reply import Heatmap, SearchReply
from jobs.settings import Settings

RERANKED_PIXELS = 768 * 28 * 28
"""Of a page that a reranker looks at: what models of pages are trained with."""


class CollectionSearch:
    """One per process. Nothing is asked of Redis, the store or a file before somebody searches."""

    def __init__(
        self, client: AsyncQdrantClient, queue: Queue, viewer: PageViewer, settings: Settings
    ) -> None:
        """Who has made these closes them."""
        self._viewer = viewer
        self._contents = Contents(client)
        self._removal = Removal(settings)
        embedder = QueryEmbedder(queue, settings)
        self._heatmaps = Heatmaps(client, embedder)
        reranker = Reranker(queue, self._image_of, self._text_of, settings)
        self._asker = Asker(self, queue)
        self._searcher = Searcher(self._contents, Retrieval(client), embedder, reranker)

    async def search(self, query: SearchQuery) -> SearchReply:
        """Best first."""
        return await self._searcher.search(query)

    async def prepare(self, question: Question) -> PreparedAnswer:
        """The job whose answer is the question's."""
        return await self._asker.prepare(question)

    async def heatmap(self, page: PageRef, text: str) -> Heatmap:
        """Where on the page the words of a query are."""
        parts = (await self._contents.parts((page.collection,)))[page.collection]
        visual = [each for each in parts if each.kind == "visual"]
        if not visual:
            raise InvalidInput(
                f"The collection {page.collection!r} has no images of pages.", param="collection"
            )
        if not text.strip():
            raise InvalidInput("query is empty.", param="query")
        return await self._heatmaps.heatmap(visual[0], page, text)

    async def page_image(self, page: PageRef, max_pixels: int) -> bytes:
        """A PNG."""
        return await self._viewer.image(await self._document(page), page.page, max_pixels)

    async def page_words(self, page: PageRef, query: str = "") -> tuple[PageWord, ...]:
        """In reading order."""
        words = await self._viewer.words(await self._document(page), page.page)
        return tuple(
            PageWord(each.text, each.left, each.top, each.right, each.bottom, is_match)
            for each, is_match in zip(words, marked([each.text for each in words], query), strict=True)
        )

    async def page_text(self, page: PageRef) -> PageText:
        """What can be read on the page."""
        return await self._viewer.text(await self._document(page), page.page)

    async def file(self, collection: str, document: str) -> Path:
        """Where the document lies now."""
        return await self._viewer.file(await self._contents.document(collection, document))

    async def outline(self, collection: str, document: str) -> list[Bookmark]:
        """The document's bookmarks. Raises UnknownDocument, DocumentGone, DocumentUnreadable."""
        return await self._viewer.outline(await self._contents.document(collection, document))

    async def vector_bytes(self, collection: str) -> dict[Kind, dict[str, float]]:
        """Of a point of each kind: its vectors by name, as they are stored."""
        parts = (await self._contents.parts((collection,)))[collection]
        return {each.kind: await self._contents.vector_bytes(each) for each in parts}

    async def list_collections(self) -> tuple[CollectionInfo, ...]:
        """By name."""
        return await self._contents.collections()

    async def list_documents(
        self, collection: str, *, after: str | None = None, limit: int = 100
    ) -> DocumentList:
        """In the order of their ids."""
        return await self._contents.documents(collection, after, limit)

    async def document(self, collection: str, document: str) -> DocumentInfo:
        """One of them."""
        return await self._contents.document(collection, document)

    async def remove_document(self, collection: str, document: str) -> None:
        """Its points; the manifest forgets it."""
        await self._contents.document(collection, document)
        await asyncio.to_thread(self._removal.document, collection, document)

    async def remove_collection(self, collection: str) -> None:
        """All of it."""
        await self._contents.parts((collection,))
        await asyncio.to_thread(self._removal.collection, collection)

    async def _document(self, page: PageRef) -> DocumentInfo:
        """Raises UnknownDocument also where it has no such page."""
        found = await self._contents.document(page.collection, page.document)
        if not 1 <= page.page <= found.pages:
            raise UnknownDocument(f"The document has {found.pages} pages, and no page {page.page}.")
        return found

    async def _image_of(self, hit: Found) -> Passage:
        page = PageRef(hit.collection, hit.document, hit.page)
        return (ImagePart(await self.page_image(page, RERANKED_PIXELS)),)

    async def _text_of(self, hit: Found) -> Passage:
        return (await self.page_text(PageRef(hit.collection, hit.document, hit.page))).text
