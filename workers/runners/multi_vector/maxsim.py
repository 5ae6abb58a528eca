"""Reranking with a multi-vector model: each of the query's vectors finds its best match among the document's.

Khattab and Zaharia, ColBERT (2020): the score is the sum of these best cosines, so it grows with the query's length,
and compares documents for one query, not queries.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.content import MixedInput
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput, JobError
from jobs.rerank import Passage, RerankJob, RerankResult


def embeddings_of(job: RerankJob) -> tuple[EmbedJob, EmbedJob]:
    """The query as a query, and the documents as documents. Raises InvalidInput."""
    if job.instruction is not None:
        raise InvalidInput("The model takes no instruction.", param="instruction")
    if not job.documents:
        raise InvalidInput("There is no document: send at least one.", param="documents")
    query = EmbedJob(model=job.model, inputs=(_input(job.query),), input_type="query")
    documents = EmbedJob(
        model=job.model,
        inputs=tuple(map(_input, job.documents)),
        truncate="end" if job.truncate else "none",
        input_type="document",
    )
    return query, documents


def joined(parts: Sequence[list[Any] | JobError]) -> list[Any] | JobError:
    """What was prepared of a job's parts, as its items. Of a reranking these are the query and the documents."""
    if len(parts) == 1:
        return parts[0]
    query, documents = parts
    if isinstance(query, JobError):
        return type(query)(query.message.replace("Input 0", "The query"), param="query")
    if isinstance(documents, JobError):
        return type(documents)(documents.message.replace("Input ", "Document "), param="documents")
    return [*query, *documents]


def ranking(outcomes: Sequence[NDArray[np.float32]], lengths: Sequence[int]) -> RerankResult:
    """outcomes: the query's vectors (tokens, dimensions), then each document's. lengths: tokens of each."""
    query, *documents = outcomes
    scores = [float((query @ document.T).max(axis=1).sum()) for document in documents]
    return RerankResult(
        scores=np.asarray(scores, dtype="<f4").tobytes(),
        tokens=tuple(lengths[0] + length for length in lengths[1:]),
    )


def _input(passage: Passage) -> str | MixedInput:
    return passage if isinstance(passage, str) else MixedInput(passage)
