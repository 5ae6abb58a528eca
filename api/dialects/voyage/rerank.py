"""Voyage AI's reranking body, in and out."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.requests.inputs import PassageField
from api.requests.rerank import TopN, ranked, rerank_job, scores_of
from jobs.job import Result
from jobs.rerank import RerankJob


class VoyageRerankRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/rerank as Voyage's clients send it. Fields it does not name are ignored.

    truncation: unless it is false, a document that is too long is cut.
    """

    model: str
    query: str
    documents: tuple[str, ...]
    top_k: TopN | None = None
    return_documents: bool | None = None
    truncation: bool | None = None


class VoyageRank(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    relevance_score: float
    document: str | UnsetType = UNSET


class VoyageTokens(msgspec.Struct, frozen=True):
    total_tokens: int


class VoyageRanking(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[VoyageRank]
    model: str
    usage: VoyageTokens


async def voyage_rerank_job(asked: VoyageRerankRequest, max_inputs: int) -> RerankJob:
    """Raises InvalidInput naming the field."""
    return await rerank_job(
        asked.model,
        PassageField("query", asked.query),
        PassageField("documents", asked.documents),
        None,
        max_inputs,
        truncate=asked.truncation is not False,
    )


def encode_voyage(
    result: Result, model: str, *, top_k: int | None, documents: Sequence[str] | None = None
) -> bytes:
    """The reply as JSON bytes. documents: None where they are not shown. Raises InternalError."""
    scores = scores_of(result)
    data = [
        VoyageRank(
            index=index,
            relevance_score=score,
            document=UNSET if documents is None else documents[index],
        )
        for index, score in ranked(scores, top_k)
    ]
    return msgspec.json.encode(VoyageRanking(data=data, model=model, usage=VoyageTokens(scores.tokens)))
