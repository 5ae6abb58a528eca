"""Ordering what was found anew, by a model that reads the query and each page together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import numpy as np

from ingest.queries.perform import Queue, perform
from ingest.search.found import Found
from jobs.content import ImagePart, TextPart
from jobs.errors import InternalError, InvalidInput
from jobs.rerank import Passage, RerankJob, RerankResult
from jobs.search.errors import DocumentGone, DocumentUnreadable, UnknownDocument
from jobs.search.query import SearchQuery
from jobs.settings import Settings

RERANKED = 50
"""Hits that are scored anew, where fewer are wanted."""

ReadPage = Callable[[Found], Awaitable[Passage]]
"""What a reranker reads of a page; empty where there is nothing. Raises DocumentGone, DocumentUnreadable."""


class Reranker:
    """image_of, text_of: of pages that were found by their images."""

    def __init__(self, queue: Queue, image_of: ReadPage, text_of: ReadPage, settings: Settings) -> None:
        self._queue = queue
        self._image_of = image_of
        self._text_of = text_of
        self._settings = settings

    async def rerank(self, found: Sequence[Found], query: SearchQuery) -> tuple[list[Found], list[str]]:
        """The best of them with the reranker's scores, best first; and notes on those that could not be read.

        Raises: InvalidInput where the model cannot read the query, and what the queue raises.
        """
        model = await self._queue.model(query.rerank_model, "rerank")
        sees = "vision" in model.abilities
        best = found[: max(RERANKED, query.limit)]
        passages = await asyncio.gather(*(self._passage(each, sees=sees) for each in best))
        read = [(hit, passage) for hit, passage in zip(best, passages, strict=True) if passage]
        scores = await self._scores(
            _question(query, model.id, sees=sees), [passage for _, passage in read], model.id
        )
        scored = [
            msgspec.structs.replace(hit, score=score) for (hit, _), score in zip(read, scores, strict=True)
        ]
        notes = list[str]()
        if missing := len(best) - len(read):
            notes.append(
                f"{missing} of {len(best)} pages could not be read by the reranker, and are left out."
            )
        return sorted(scored, key=lambda hit: -hit.score), notes

    async def _passage(self, hit: Found, *, sees: bool) -> Passage:
        if hit.text:
            return hit.text
        try:
            return await (self._image_of(hit) if sees else self._text_of(hit))
        except (DocumentGone, DocumentUnreadable, UnknownDocument):
            return ""

    async def _scores(self, question: Passage, passages: Sequence[Passage], model: str) -> list[float]:
        if not passages:
            return []
        job = RerankJob(model, question, tuple(passages), truncate=True)
        result = await perform(self._queue, job, self._settings)
        if not isinstance(result, RerankResult):
            raise InternalError
        return np.frombuffer(result.scores, "<f4").tolist()


def _question(query: SearchQuery, model: str, *, sees: bool) -> Passage:
    if query.image is None:
        return query.text
    if not sees:
        raise InvalidInput(f"The model {model} reads no images: search without it.", param="rerank_model")
    words = (TextPart(query.text),) if query.text else ()
    return (ImagePart(query.image), *words)
