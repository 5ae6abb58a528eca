"""Ranking and scoring by embedding models, as vLLM has it: a score is the cosine of two vectors."""

import asyncio
import math
from collections.abc import Sequence
from operator import mul
from typing import NamedTuple

from api.requests.rerank import Scores, scores_of
from api.requests.sole_model import is_named, model_or_sole
from api.work.queue import Queue
from jobs.content import MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InternalError, InvalidInput
from jobs.job import Result
from jobs.rerank import Passage

_AT_ONCE = 64
"""Cosines between two turns of the event loop: a few milliseconds."""


class RankingModel(NamedTuple):
    """A model that orders documents."""

    name: str
    by_vectors: bool
    """It makes vectors, and is no reranker."""


async def ranking_model(named: str | None, queue: Queue) -> RankingModel:
    """The model that is named or, where none is, the only reranker; where there is none, the only embedding model.

    Raises NoWorker, UnknownModel, and InvalidInput for a model that does neither, and where it must be named.
    """
    if not is_named(named):
        models = await queue.models()
        embeds = any(info.task == "embed" for info in models)
        by_vectors = embeds and not any("rerank" in info.tasks for info in models)
        return RankingModel(model_or_sole(None, models, "embed" if by_vectors else "rerank"), by_vectors)
    try:
        await queue.model(named, "rerank")
    except InvalidInput:
        if (await queue.model(named)).task != "embed":
            raise
        return RankingModel(named, by_vectors=True)
    return RankingModel(named, by_vectors=False)


def vector_jobs(
    model: str,
    queries: Sequence[Passage],
    documents: Sequence[Passage],
    *,
    truncate: bool,
    instruction: str | None,
) -> tuple[EmbedJob, EmbedJob]:
    """That of the queries, which are never cut, and that of the documents. Raises InvalidInput for an instruction."""
    if instruction:
        raise InvalidInput(
            "instruction: an embedding model compares texts as they are. Leave it out, or use a reranker.",
            param="instruction",
        )
    return (
        EmbedJob(model=model, inputs=tuple(map(_input, queries))),
        EmbedJob(model=model, inputs=tuple(map(_input, documents)), truncate="end" if truncate else "none"),
    )


async def scores_of_all(results: Sequence[Result]) -> Scores:
    """The scores of a reranking, or of what `vector_jobs` made. Raises InternalError for other results."""
    if len(results) == 1:
        return scores_of(results[0])
    queries, documents = map(_vectors, results)
    if len(queries) not in (1, len(documents)):
        raise InternalError
    values: list[float] = []
    for index, document in enumerate(documents):
        if index % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        cosine = sum(map(mul, queries[index if len(queries) > 1 else 0], document))
        values.append(max(-1.0, min(1.0, cosine)))
    if not all(map(math.isfinite, values)):
        raise InternalError
    tokens = sum(sum(each.tokens) for each in results if isinstance(each, EmbedResult))
    return Scores(values, tokens)


def _input(passage: Passage) -> str | MixedInput:
    return passage if isinstance(passage, str) else MixedInput(passage)


def _vectors(result: Result) -> "list[memoryview[float]]":
    """One of length 1 for each input."""
    if not isinstance(result, EmbedResult) or result.counts:
        raise InternalError
    floats, size = memoryview(result.vectors).cast("f"), result.dimensions
    if len(floats) != size * len(result.tokens):
        raise InternalError
    return [floats[at : at + size] for at in range(0, len(floats), size)]
