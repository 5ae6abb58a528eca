"""Who searches: CollectionSearch (ingest.search.service) in service, a fake in tests."""

from pathlib import Path
from typing import Protocol

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


class Collections(Protocol):
    """Every method raises StoreUnavailable while the store is away, and UnknownCollection."""

    async def search(self, query: SearchQuery) -> SearchReply:
        """Raises InvalidInput naming the field, and what the queue's `submit` and `wait` raise: NoWorker and
        UnknownModel where no worker serves the collection's model or the reranker, QueueUnavailable, ResultTimeout.
        """
        ...

    async def prepare(self, question: Question) -> PreparedAnswer:
        """Searches, and writes the job whose answer is the question's. Whoever asks submits it.

        Raises InvalidInput, UnknownModel where no model that writes is served, and what `search` does.
        """
        ...

    async def heatmap(self, page: PageRef, text: str) -> Heatmap:
        """Where on the page the parts of a query are.

        Raises UnknownDocument, InvalidInput where the collection has no images of pages, and what `search` does.
        """
        ...

    async def page_image(self, page: PageRef, max_pixels: int) -> bytes:
        """The page as a PNG. Raises UnknownDocument, DocumentGone, DocumentUnreadable."""
        ...

    async def page_words(self, page: PageRef, query: str = "") -> tuple[PageWord, ...]:
        """The words on the page, in reading order; empty where it has no text.

        Raises UnknownDocument, DocumentGone, DocumentUnreadable.
        """
        ...

    async def page_text(self, page: PageRef) -> PageText:
        """The text of the page. Raises UnknownDocument, DocumentGone, DocumentUnreadable."""
        ...

    async def file(self, collection: str, document: str) -> Path:
        """Where the document lies now, unchanged since it was ingested. Raises UnknownDocument, DocumentGone."""
        ...

    async def list_collections(self) -> tuple[CollectionInfo, ...]:
        """By name."""
        ...

    async def list_documents(
        self, collection: str, *, after: str | None = None, limit: int = 100
    ) -> DocumentList:
        """The documents that follow the id `after`."""
        ...

    async def document(self, collection: str, document: str) -> DocumentInfo:
        """Raises UnknownDocument."""
        ...

    async def remove_document(self, collection: str, document: str) -> None:
        """From the collection; its files stay, and are ingested again where they are found again.

        Raises UnknownDocument, CollectionBusy.
        """
        ...

    async def remove_collection(self, collection: str) -> None:
        """With all of its documents; their files stay. Raises CollectionBusy."""
        ...
