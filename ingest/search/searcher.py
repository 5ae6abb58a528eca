"""A search from the query to its hits: embed, retrieve, join, perhaps rerank."""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ingest.collections.contents import Contents, Part
from ingest.queries.embedding import Content, QueryEmbedder, Rows
from ingest.search.found import Found
from ingest.search.fusion import by_document, fused
from ingest.search.hits import group_of, hit_of
from ingest.search.plan import Step, steps_of, without
from ingest.search.rerank import Reranker
from ingest.search.retrieval import Retrieval, Wanted
from ingest.text.bm25 import query_vector
from jobs.content import ImagePart, MixedInput, TextPart
from jobs.errors import InvalidInput, JobError, ModelNotLoadable, NoWorker
from jobs.search.errors import UnknownCollection
from jobs.search.query import SearchQuery
from jobs.search.reply import SearchReply, Timing

CANDIDATES_PER_HIT, LEAST_CANDIDATES, MOST_CANDIDATES = 5, 50, 1000
"""Found by each way where lists are joined, or reranked."""

_OF_ONE_MODEL = (NoWorker, ModelNotLoadable, InvalidInput)
"""Where several models are asked, one that ends with this is left out, and a note says so."""


class _Found(NamedTuple):
    hits: list[Found]
    notes: list[str]
    timings: list[Timing]
    similarity: float | None


class Searcher:
    """Its `search` does what jobs.search.collections.Collections says."""

    def __init__(
        self, contents: Contents, retrieval: Retrieval, embedder: QueryEmbedder, reranker: Reranker
    ) -> None:
        self._contents = contents
        self._retrieval = retrieval
        self._embedder = embedder
        self._reranker = reranker

    async def search(self, query: SearchQuery) -> SearchReply:
        """Best first."""
        try:
            found = await self._find(query)
        except UnknownCollection:  # another generation of it may have taken its place meanwhile
            found = await self._find(query)
        hits = [each for each in found.hits if query.min_score is None or each.score >= query.min_score]
        reply = SearchReply(
            timings=tuple(found.timings), notes=tuple(found.notes), similarity=found.similarity
        )
        if query.group_by_document:
            groups = by_document(hits, query.limit, query.group_size)
            return replace(reply, groups=tuple(group_of(each, query.text) for each in groups))
        return replace(reply, hits=tuple(hit_of(each, query.text) for each in hits[: query.limit]))

    async def _find(self, query: SearchQuery) -> _Found:
        parts = await self._contents.parts(query.collections)
        if not parts:
            raise UnknownCollection("There are no collections yet. Make one: mlxq ingest FOLDER")
        clock = _Clock()
        steps, vectors, notes = await self._embed(query, steps_of(query, parts))
        clock.lap("embed")
        alone = len(steps) == 1 and not query.rerank_model
        lists, similarity = await asyncio.gather(
            asyncio.gather(*(self._retrieve(each, query, vectors, alone=alone) for each in steps)),
            self._similarity(steps, query, vectors),
        )
        await self._contents.check_unmoved(step.part for step in steps)
        hits = joined(steps, lists)
        clock.lap("search")
        if query.rerank_model:
            hits, more = await self._reranker.rerank(hits, query)
            notes += more
            clock.lap("rerank")
        return _Found(hits, notes, clock.timings, similarity)

    async def _embed(
        self, query: SearchQuery, steps: Sequence[Step]
    ) -> tuple[list[Step], dict[str, Rows], list[str]]:
        """The steps that can be taken, the query's vectors by the makers' keys, and notes on what is left out."""
        makers = {step.part.maker.key: step.part.maker for step in steps if step.needs_vectors}
        content = _content(query)
        outcomes = await asyncio.gather(
            *(self._embedder.embed(maker, content) for maker in makers.values()), return_exceptions=True
        )
        by_key = dict(zip(makers, outcomes, strict=True))
        failures = {key: each for key, each in by_key.items() if isinstance(each, BaseException)}
        left = without(failures, steps, query)
        for error in failures.values():
            if not left or not isinstance(error, _OF_ONE_MODEL):
                raise error
        notes = [error.message for error in failures.values() if isinstance(error, JobError)]
        return left, {key: each for key, each in by_key.items() if not isinstance(each, BaseException)}, notes

    async def _retrieve(
        self, step: Step, query: SearchQuery, vectors: dict[str, Rows], *, alone: bool
    ) -> list[Found]:
        """alone: nothing is joined with it, so no more is found than is wanted."""
        part, retrieval = step.part, self._retrieval
        chosen = await retrieval.points(part, query.filter)
        if alone:
            size = query.group_size if query.group_by_document else 0
            wanted = Wanted(query.limit, chosen, size, query.min_score)
        else:
            wanted = Wanted(candidates(query), chosen)
        words = query_vector(query.text)
        match step.way:
            case "keywords":
                return await retrieval.keywords(part, words, wanted)
            case "visual":
                rows = vectors[part.maker.key]
                return await retrieval.visual(part, rows, wanted, exact=query.exact)
            case "text":
                return await retrieval.text(part, vectors[part.maker.key][0], wanted)
            case "hybrid":
                return await retrieval.hybrid(part, vectors[part.maker.key][0], words, wanted)

    async def _similarity(
        self, steps: Sequence[Step], query: SearchQuery, vectors: dict[str, Rows]
    ) -> float | None:
        """See SearchReply."""
        filled = [step for step in steps if step.part.points]
        if not query.with_similarity or any(step.way == "visual" for step in filled):
            return None
        by_meaning = [step.part for step in filled if step.needs_vectors]
        lists = await asyncio.gather(*(self._nearest(part, query, vectors) for part in by_meaning))
        return max((hit.score for hits in lists for hit in hits), default=None)

    async def _nearest(self, part: Part, query: SearchQuery, vectors: dict[str, Rows]) -> list[Found]:
        chosen = await self._retrieval.points(part, query.filter)
        return await self._retrieval.text(part, vectors[part.maker.key][0], Wanted(1, chosen))


def candidates(query: SearchQuery) -> int:
    """How many each way finds, where lists are joined or reranked."""
    hits = query.limit * (query.group_size if query.group_by_document else 1)
    return min(max(CANDIDATES_PER_HIT * hits, LEAST_CANDIDATES), max(MOST_CANDIDATES, hits))


def joined(steps: Sequence[Step], lists: Sequence[list[Found]]) -> list[Found]:
    """Best first: by score where all scores mean the same, else by reciprocal ranks."""
    if len(lists) == 1:
        return lists[0]
    if len({(step.way, step.part.maker.key) for step in steps}) == 1 and steps[0].way in ("visual", "text"):
        return sorted((hit for hits in lists for hit in hits), key=lambda hit: -hit.score)
    return fused(lists)


def _content(query: SearchQuery) -> Content:
    if query.image is None:
        return query.text
    words = (TextPart(query.text),) if query.text else ()
    return MixedInput((ImagePart(query.image), *words))


class _Clock:
    """Times of the parts of a search, one after the other."""

    def __init__(self) -> None:
        self.timings: list[Timing] = []
        self._at = time.perf_counter()

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.timings.append(Timing(part, (now - self._at) * 1000))
        self._at = now
