"""Collections of drawn pages: found by the words on them, with heatmaps over those words."""

import hashlib
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from jobs.search.documents import (
    CollectionInfo,
    CollectionPart,
    DocumentInfo,
    DocumentList,
    PageRef,
    PageText,
    PageWord,
)
from jobs.search.errors import DocumentGone, DocumentUnreadable, UnknownDocument
from jobs.search.query import SearchQuery
from jobs.search.question import PreparedAnswer, Question
from jobs.search.reply import DocumentHits, Heatmap, SearchHit, SearchReply, Timing, WordMap
from tests.support.console.drawn_pages import DrawnPage
from tests.support.vectors.placed import in_collection, named

CELL = 28.0
"""Points that a patch is wide and high, about."""


class DrawnDocument(NamedTuple):
    """file: what is sent as the document itself; None: it has gone."""

    paths: tuple[str, ...]
    pages: tuple[DrawnPage, ...]
    collection: str = "documents"
    file: Path | None = None
    has_images: bool = True

    @property
    def id(self) -> str:
        """Of all that can be seen of it: browsers keep images by it."""
        return hashlib.sha256(repr((self.paths, self.pages, self.has_images)).encode()).hexdigest()


class DrawnCollections:
    """failures: raised by the method of that name. asked: the queries that came."""

    def __init__(self, documents: Sequence[DrawnDocument] = ()) -> None:
        self.documents = list(documents)
        self.failures: dict[str, Exception] = {}
        self.asked: list[SearchQuery] = []

    async def search(self, query: SearchQuery) -> SearchReply:
        self._meet("search")
        self.asked.append(query)
        for name in query.collections:
            self._in(name)
        groups = [
            DocumentHits(each.id, each.paths, hits[0].score, tuple(hits[: query.group_size]))
            for each in self.documents
            if (not query.collections or each.collection in query.collections)
            and (not query.filter.documents or each.id in query.filter.documents)
            and (hits := _hits(each, query))
        ]
        best = sorted(groups, key=lambda group: -group.score)[: query.limit]
        return SearchReply(groups=tuple(best), timings=(Timing("embed", 12), Timing("search", 31)))

    async def prepare(self, question: Question) -> PreparedAnswer:
        """The console asks no questions."""
        raise NotImplementedError

    async def heatmap(self, page: PageRef, text: str) -> Heatmap:
        self._meet("heatmap")
        drawn = self._page(page)
        rows, columns = round(drawn.height / CELL), round(drawn.width / CELL)
        return Heatmap(
            rows,
            columns,
            tuple(WordMap(word, _grid(drawn, word, rows, columns)) for word in text.split()),
        )

    async def page_image(self, page: PageRef, max_pixels: int) -> bytes:
        self._meet("page_image")
        drawn = self._page(page)
        if not self._one(page.collection, page.document).has_images:
            raise DocumentUnreadable
        return drawn.png(max_pixels)

    async def page_words(self, page: PageRef, query: str = "") -> tuple[PageWord, ...]:
        self._meet("page_words")
        wanted = _words(query)
        return tuple(
            msgspec.structs.replace(word, matches=not wanted.isdisjoint(_words(word.text)))
            for word in self._page(page).words()
        )

    async def page_text(self, page: PageRef) -> PageText:
        self._meet("page_text")
        return PageText(self._page(page).text, has_image=self._one(page.collection, page.document).has_images)

    async def file(self, collection: str, document: str) -> Path:
        self._meet("file")
        found = self._one(collection, document).file
        if found is None:
            raise DocumentGone
        return found

    async def list_collections(self) -> tuple[CollectionInfo, ...]:
        self._meet("list_collections")
        return tuple(
            CollectionInfo(
                name,
                (
                    CollectionPart(
                        "visual", "colqwen2.5-v0.2", 128, sum(len(each.pages) for each in self._in(name))
                    ),
                    CollectionPart("text", "all-MiniLM-L6-v2", 384, 3 * len(self._in(name))),
                ),
                len(self._in(name)),
            )
            for name in sorted({each.collection for each in self.documents})
        )

    async def list_documents(
        self, collection: str, *, after: str | None = None, limit: int = 100
    ) -> DocumentList:
        return DocumentList(tuple(_info(each) for each in self._in(collection)), None)

    async def document(self, collection: str, document: str) -> DocumentInfo:
        self._meet("document")
        return _info(self._one(collection, document))

    async def remove_document(self, collection: str, document: str) -> None:
        self._meet("remove_document")
        self.documents.remove(self._one(collection, document))

    async def remove_collection(self, collection: str) -> None:
        self._meet("remove_collection")
        for each in list(self._in(collection)):
            self.documents.remove(each)

    def _meet(self, method: str) -> None:
        if method in self.failures:
            raise self.failures[method]

    def _in(self, collection: str) -> list[DrawnDocument]:
        return in_collection(self.documents, collection)

    def _one(self, collection: str, document: str) -> DrawnDocument:
        return named(self._in(collection), document)

    def _page(self, page: PageRef) -> DrawnPage:
        pages = self._one(page.collection, page.document).pages
        if page.page > len(pages):
            raise UnknownDocument
        return pages[page.page - 1]


def _info(document: DrawnDocument) -> DocumentInfo:
    return DocumentInfo(
        document.collection,
        document.id,
        document.paths,
        len(document.pages),
        ("visual", "text") if document.has_images else ("text",),
        time.time() - 3 * 86_400,
    )


def _hits(document: DrawnDocument, query: SearchQuery) -> list[SearchHit]:
    wanted = _words(query.text)
    found = list[SearchHit]()
    for number, page in enumerate(document.pages, 1):
        count = sum(word in wanted for word in _all_words(page.text))
        if not count and query.image is None:
            continue
        snippet = max(page.lines, key=lambda line: len(wanted & _words(line.text))).text
        found.append(
            SearchHit(
                collection=document.collection,
                document=document.id,
                paths=document.paths,
                page=number,
                label=page.label,
                kinds=("visual", "text") if document.has_images else ("text",),
                score=count * 1.37 + 1 / number,
                snippet=snippet,
                matches=tuple(
                    match.span() for match in re.finditer(r"\w+", snippet) if match[0].lower() in wanted
                ),
                heading=page.heading,
                text=page.text,
                point=f"{document.id[:8]}-{number}",
            )
        )
    return sorted(found, key=lambda hit: -hit.score)


def _grid(page: DrawnPage, word: str, rows: int, columns: int) -> tuple[tuple[float, ...], ...]:
    """Cosines: high where a patch has a part of the word, a little everywhere else."""
    boxes = [each for each in page.words() if not _words(word).isdisjoint(_words(each.text))]
    return tuple(
        tuple(
            0.8 if _touches(boxes, row / rows, column / columns, 1 / rows, 1 / columns) else 0.2
            for column in range(columns)
        )
        for row in range(rows)
    )


def _touches(boxes: Iterable[PageWord], top: float, left: float, high: float, wide: float) -> bool:
    return any(
        box.left < left + wide and box.right > left and box.top < top + high and box.bottom > top
        for box in boxes
    )


def _all_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _words(text: str) -> set[str]:
    return set(_all_words(text))
