"""Cohere's reranking reply, and its errors."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.cohere.rerank import Document
from api.errors import ErrorFormat, Fault
from api.requests.rerank import ranked, scores_of
from jobs.job import Result

# One search unit of Cohere's pays for so many documents.
_DOCUMENTS_PER_UNIT = 100


class CohereResult(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    relevance_score: float
    document: Mapping[str, str | msgspec.Raw] | UnsetType = UNSET


class ApiVersion(msgspec.Struct, frozen=True):
    version: str


class BilledUnits(msgspec.Struct, frozen=True):
    """What Cohere would count; nobody is billed."""

    search_units: int


class ReadTokens(msgspec.Struct, frozen=True):
    input_tokens: int


class CohereMeta(msgspec.Struct, frozen=True, kw_only=True):
    api_version: ApiVersion
    billed_units: BilledUnits
    tokens: ReadTokens


class CohereReply(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    results: list[CohereResult]
    meta: CohereMeta


class CohereError(msgspec.Struct, frozen=True):
    message: str


def encode_cohere(
    result: Result,
    *,
    job_id: str,
    version: Literal["1", "2"],
    top_n: int | None,
    documents: Sequence[Document] | None = None,
) -> bytes:
    """The reply as JSON bytes. documents: None where they are not shown. Raises InternalError."""
    scores = scores_of(result)
    results = [
        CohereResult(
            index=index,
            relevance_score=score,
            document=UNSET if documents is None else _document(documents[index]),
        )
        for index, score in ranked(scores, top_n)
    ]
    meta = CohereMeta(
        api_version=ApiVersion(version),
        billed_units=BilledUnits(-(-len(scores.values) // _DOCUMENTS_PER_UNIT)),
        tokens=ReadTokens(scores.tokens),
    )
    return msgspec.json.encode(CohereReply(id=job_id, results=results, meta=meta))


def cohere_envelope(fault: Fault) -> bytes:
    """A CohereError as JSON."""
    return msgspec.json.encode(CohereError(fault.message))


COHERE_ERRORS = ErrorFormat(cohere_envelope, (CohereError,))


def _document(document: Document) -> Mapping[str, str | msgspec.Raw]:
    return {"text": document} if isinstance(document, str) else document
