"""Collections without a store, for tests: a page is found by the words of the query that it has."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from jobs.generate import GenerateJob, Prompt
from jobs.search.documents import (
    CollectionInfo,
    CollectionPart,
    DocumentInfo,
    DocumentList,
    PageRef,
    PageText,
    PageWord,
)
from jobs.search.errors import UnknownDocument
from jobs.search.query import PageFilter, SearchQuery
from jobs.search.question import PreparedAnswer, Question, Source
from jobs.search.reply import DocumentHits, Heatmap, SearchHit, SearchReply, Timing, WordMap
from tests.support.images import plain
from tests.support.memory_generation import CHAT_MODEL
from tests.support.vectors.placed import in_collection, named

ROWS, COLUMNS = 3, 2
"""Of heatmaps."""


class MemoryDocument(NamedTuple):
    """The text of each page."""

    path: str
    pages: tuple[str, ...]
    collection: str = "documents"

    @property
    def is_text(self) -> bool:
        return self.path.endswith(".md")

    @property
    def id(self) -> str:
        return hashlib.sha256("\f".join(self.pages).encode()).hexdigest()


DOCUMENTS = (
    MemoryDocument("/docs/queue.pdf", ("A lease lasts ten seconds.", "A job that is lost is done again.")),
    MemoryDocument("/docs/cats & dogs.pdf", ("Cats sleep.", "Dogs run, and cats sleep.", "The end.")),
    MemoryDocument("/notes/kitchen.md", ("Bread needs salt, water and flour.",), "notes"),
)


class MemoryCollections:
    """failure: raised by every method. asked: the queries that came."""

    def __init__(self, documents: Sequence[MemoryDocument] = DOCUMENTS) -> None:
        self._documents = sorted(documents, key=lambda each: each.id)
        self.failure: Exception | None = None
        self.asked: list[SearchQuery] = []

    async def search(self, query: SearchQuery) -> SearchReply:
        self._meet()
        self.asked.append(query)
        for name in query.collections:
            self._in(name)
        found = sorted(self._hits(query), key=lambda hit: -hit.score)
        timings = (Timing("embed", 1.5), Timing("search", 2.5))
        if not query.group_by_document:
            return SearchReply(hits=tuple(found[: query.limit]), timings=timings)
        by_document = sorted(found, key=lambda hit: hit.document)
        grouped = [list(hits) for _, hits in groupby(by_document, lambda hit: hit.document)]
        groups = [
            DocumentHits(hits[0].document, hits[0].paths, hits[0].score, tuple(hits[: query.group_size]))
            for hits in grouped
        ]
        best = sorted(groups, key=lambda group: -group.score)
        return SearchReply(groups=tuple(best[: query.limit]), timings=timings)

    async def prepare(self, question: Question) -> PreparedAnswer:
        """The words of the pages that have words of the question, one after the other, are the prompt."""
        query = SearchQuery(text=question.text, collections=question.collections, limit=question.sources)
        hits = (await self.search(query)).hits
        if not hits:
            return PreparedAnswer(job=None)
        sources = tuple(
            Source(
                number=number,
                collection=hit.collection,
                document=hit.document,
                path=hit.paths[0],
                page=hit.page,
                snippet=hit.snippet,
            )
            for number, hit in enumerate(hits, 1)
        )
        job = GenerateJob(
            model=question.model or CHAT_MODEL.id,
            prompt=Prompt(" ".join(hit.text for hit in hits)),
            max_tokens=question.max_tokens,
            stream=question.stream,
        )
        return PreparedAnswer(job=job, sources=sources)

    async def heatmap(self, page: PageRef, text: str) -> Heatmap:
        self._page(page)
        words = text.split()
        return Heatmap(
            ROWS,
            COLUMNS,
            tuple(
                WordMap(word, tuple((float(row == place % ROWS), 0.0) for row in range(ROWS)))
                for place, word in enumerate(words)
            ),
        )

    async def page_image(self, page: PageRef, max_pixels: int) -> bytes:
        """An upright blue one."""
        self._page(page)
        width = int((max_pixels / 2) ** 0.5)
        return plain(width, width * 2)

    async def page_words(self, page: PageRef, query: str = "") -> tuple[PageWord, ...]:
        """All in one line, from left to right."""
        words = self._page(page).split()
        wide = 1 / len(words)
        return tuple(
            PageWord(word, at * wide, 0.1, (at + 1) * wide, 0.2, _bare(word) in _words(query))
            for at, word in enumerate(words)
        )

    async def page_text(self, page: PageRef) -> PageText:
        return PageText(self._page(page), has_image=not self._one(page.collection, page.document).is_text)

    async def file(self, collection: str, document: str) -> Path:
        self._meet()
        return Path(self._one(collection, document).path)

    async def list_collections(self) -> tuple[CollectionInfo, ...]:
        self._meet()
        names = sorted({each.collection for each in self._documents})
        return tuple(
            CollectionInfo(
                name,
                (CollectionPart("text", "org/model", 384, sum(len(each.pages) for each in self._in(name))),),
                len(self._in(name)),
            )
            for name in names
        )

    async def list_documents(
        self, collection: str, *, after: str | None = None, limit: int = 100
    ) -> DocumentList:
        self._meet()
        left = [each for each in self._in(collection) if after is None or each.id > after]
        shown = tuple(_info(each) for each in left[:limit])
        return DocumentList(shown, shown[-1].document if len(left) > limit else None)

    async def document(self, collection: str, document: str) -> DocumentInfo:
        self._meet()
        return _info(self._one(collection, document))

    async def remove_document(self, collection: str, document: str) -> None:
        self._meet()
        self._documents.remove(self._one(collection, document))

    async def remove_collection(self, collection: str) -> None:
        self._meet()
        for each in list(self._in(collection)):
            self._documents.remove(each)

    def _meet(self) -> None:
        if self.failure:
            raise self.failure

    def _in(self, collection: str) -> list[MemoryDocument]:
        return in_collection(self._documents, collection)

    def _one(self, collection: str, document: str) -> MemoryDocument:
        return named(self._in(collection), document)

    def _page(self, page: PageRef) -> str:
        self._meet()
        pages = self._one(page.collection, page.document).pages
        if page.page > len(pages):
            raise UnknownDocument
        return pages[page.page - 1]

    def _hits(self, query: SearchQuery) -> Iterator[SearchHit]:
        wanted = _words(query.text)
        for each in self._documents:
            if query.collections and each.collection not in query.collections:
                continue
            for number, text in enumerate(each.pages, 1):
                matches = tuple(
                    match.span() for match in re.finditer(r"\w+", text) if match[0].lower() in wanted
                )
                if matches and _passes(query.filter, each, number):
                    yield SearchHit(
                        collection=each.collection,
                        document=each.id,
                        paths=(each.path,),
                        page=number,
                        label=f"p. {number}",
                        kinds=("text",),
                        score=float(len(matches)),
                        snippet=text,
                        matches=matches,
                        text=text,
                        point=f"{each.id[:8]}-{number}",
                    )


def _info(document: MemoryDocument) -> DocumentInfo:
    return DocumentInfo(
        document.collection, document.id, (document.path,), len(document.pages), ("text",), 1.7e9
    )


def _passes(chosen: PageFilter, document: MemoryDocument, page: int) -> bool:
    paths = [f"{each}*" if each.endswith("/") else each for each in chosen.paths]
    return (
        (not chosen.documents or document.id in chosen.documents)
        and (not paths or any(fnmatchcase(document.path, each) for each in paths))
        and (chosen.first_page or 1) <= page <= (chosen.last_page or page)
    )


def _bare(word: str) -> str:
    return word.strip(".,").lower()


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
