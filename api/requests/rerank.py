"""What all dialects of reranking share: the job, and its scores in order."""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple, cast

import msgspec

from api.requests.images import ImageSource
from api.requests.inputs import PassageField, check_at_most, load_passages
from jobs.errors import InternalError, InvalidInput
from jobs.job import Result
from jobs.rerank import RerankJob, RerankResult

TopN = Annotated[int, msgspec.Meta(ge=0)]
"""0: all."""

_FLOAT_BYTES = 4


class Scores(NamedTuple):
    """The scores of a result."""

    values: list[float]
    """One per document, in the documents' order."""
    tokens: int
    """Read for all documents together."""


class Ranked(NamedTuple):
    """A document with its score."""

    document: int
    """Its index among the request's documents."""
    score: float


async def rerank_job(
    model: str,
    query: PassageField,
    documents: PassageField,
    source: ImageSource | None,
    max_inputs: int,
    *,
    truncate: bool = False,
    instruction: str | None = None,
    raw_scores: bool = False,
) -> RerankJob:
    """The job. Fetches the images once everything else is valid. Raises InvalidInput naming the field."""
    check_count(documents, max_inputs)
    [[question], passages] = await load_passages([query, documents], source)
    return RerankJob(
        model=model,
        query=question,
        documents=passages,
        truncate=truncate,
        instruction=instruction or None,
        raw_scores=raw_scores,
    )


def check_count(documents: PassageField, max_inputs: int) -> None:
    """Raises InvalidInput for a list with nothing in it, or with too much."""
    name, given = documents
    if not isinstance(given, Sequence) or isinstance(given, str):
        return
    if not given:
        raise InvalidInput(f"{name} is empty.", param=name)
    check_at_most(given, max_inputs, name)


def scores_of(result: Result) -> Scores:
    """The scores of a reranking. Raises InternalError for another result, and for scores that are not finite."""
    if not isinstance(result, RerankResult) or len(result.scores) != _FLOAT_BYTES * len(result.tokens):
        raise InternalError
    # For typeshed every memoryview holds integers.
    values = cast(list[float], memoryview(result.scores).cast("f").tolist())
    if not all(map(math.isfinite, values)):
        raise InternalError
    return Scores(values, sum(result.tokens))


def ranked(scores: Scores, top_n: int | None = None) -> list[Ranked]:
    """The best first, equal ones in the documents' order; the first top_n of them; all where that is None or 0."""
    found = [Ranked(document, score) for document, score in enumerate(scores.values)]
    found.sort(key=lambda each: (-each.score, each.document))
    return found[: top_n or None]
