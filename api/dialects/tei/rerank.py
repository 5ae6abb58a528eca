"""The reranking body of Hugging Face's text-embeddings-inference, in and out."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from api.errors import ErrorFormat, Fault
from api.requests.inputs import PassageField
from api.requests.rerank import TopN, ranked, rerank_job, scores_of
from api.requests.sole_model import model_or_sole
from jobs.errors import InvalidInput
from jobs.job import Result
from jobs.models import ModelInfo
from jobs.rerank import RerankJob

_ERROR_TYPES = {429: "Overloaded", 503: "Unhealthy"}
_SERVER_ERROR = 500


# No enum: generators of clients would give two of its values the same name.
Direction = Annotated[str, msgspec.Meta(pattern="^([Ll]eft|[Rr]ight)$")]


class TeiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /rerank. Fields it does not name are ignored.

    model, top_n: not TEI's own, which serves but one and gives all; top_n is what LiteLLM sends.
    """

    query: str
    texts: tuple[str, ...]
    raw_scores: bool | None = None
    return_text: bool | None = None
    truncate: bool | None = None
    truncation_direction: Direction | None = None
    instruction: str | None = None
    model: str | None = None
    top_n: TopN | None = None


class TeiRank(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    score: float
    text: str | UnsetType = UNSET


class TeiError(msgspec.Struct, frozen=True):
    error: str
    error_type: str


async def tei_job(asked: TeiRequest, models: Sequence[ModelInfo], max_inputs: int) -> RerankJob:
    """Raises InvalidInput naming the field, and what `model_or_sole` raises."""
    if asked.truncate and asked.truncation_direction in ("left", "Left"):
        raise InvalidInput(
            "truncation_direction: documents are cut at their end only (right).", param="truncation_direction"
        )
    return await rerank_job(
        model_or_sole(asked.model, models, "rerank"),
        PassageField("query", asked.query),
        PassageField("texts", asked.texts),
        None,
        max_inputs,
        truncate=bool(asked.truncate),
        instruction=asked.instruction,
        raw_scores=bool(asked.raw_scores),
    )


def encode_tei(result: Result, texts: Sequence[str] | None, top_n: int | None) -> bytes:
    """The reply as JSON bytes. texts: None where they are not shown. Raises InternalError."""
    ranks = [
        TeiRank(index=index, score=score, text=UNSET if texts is None else texts[index])
        for index, score in ranked(scores_of(result), top_n)
    ]
    return msgspec.json.encode(ranks)


def tei_envelope(fault: Fault) -> bytes:
    """A TeiError as JSON."""
    otherwise = "Backend" if fault.status >= _SERVER_ERROR else "Validation"
    return msgspec.json.encode(TeiError(fault.message, _ERROR_TYPES.get(fault.status, otherwise)))


TEI_ERRORS = ErrorFormat(tei_envelope, (TeiError,))
