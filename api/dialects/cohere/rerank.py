"""Cohere's reranking: its two bodies as jobs, and the reply."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.dialects.cohere.priority import Priority
from api.requests.inputs import PassageField
from api.requests.parameters import NoEffect, Refused
from api.requests.rerank import TopN, ranked, rerank_job, scores_of
from api.requests.sole_model import model_or_sole
from jobs.errors import InvalidInput
from jobs.job import Result
from jobs.models import ModelInfo, find_model
from jobs.rerank import RerankJob

Document = str | dict[str, msgspec.Raw]
"""A text, or an object with its text in the field `text`, or in the fields that rank_fields names."""

# One search unit of Cohere's pays for so many documents.
_DOCUMENTS_PER_UNIT = 100


class CohereRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What both bodies have. Fields they do not name are ignored. truncate, instruction: not Cohere's own."""

    query: str
    top_n: TopN | None = None
    max_tokens_per_doc: int | None = None
    truncate: bool | None = None
    instruction: str | None = None


class CohereV1Request(CohereRequest, frozen=True, kw_only=True):
    model: str | None = None
    documents: tuple[Document, ...]
    rank_fields: tuple[str, ...] | None = None
    return_documents: bool | None = None
    max_chunks_per_doc: Annotated[
        Any,
        Refused(
            "a document is one chunk here. Send 1, which cuts it at the model's limit, or leave it out.",
            unless=(None, 1),
        ),
    ] = None


class CohereV2Request(CohereRequest, frozen=True, kw_only=True):
    model: str
    documents: tuple[str, ...]
    rank_fields: Annotated[
        Any, Refused("documents are texts here. Send objects to /v1/rerank, or the fields as one text.")
    ] = None
    return_documents: Annotated[Any, NoEffect("the second version shows no documents")] = None
    relevant_spans: Annotated[
        Any, Refused("documents are scored as a whole only.", unless=(None, {"mode": "disabled"}))
    ] = None
    priority: Priority | None = None


async def cohere_v1_job(asked: CohereV1Request, models: Sequence[ModelInfo], max_inputs: int) -> RerankJob:
    """Raises InvalidInput naming the field, and what `model_or_sole` raises."""
    texts = [
        _text_of(document, asked.rank_fields, f"documents[{index}]")
        for index, document in enumerate(asked.documents)
    ]
    model = model_or_sole(asked.model, models, "rerank")
    return await _job(asked, model, texts, models, max_inputs, cut=asked.max_chunks_per_doc == 1)


async def cohere_v2_job(asked: CohereV2Request, models: Sequence[ModelInfo], max_inputs: int) -> RerankJob:
    """Raises InvalidInput naming the field."""
    return await _job(asked, asked.model, asked.documents, models, max_inputs)


async def _job(
    asked: CohereRequest,
    model: str,
    texts: Sequence[str],
    models: Sequence[ModelInfo],
    max_inputs: int,
    *,
    cut: bool = False,
) -> RerankJob:
    if asked.max_tokens_per_doc is not None:
        _check_cut(asked.max_tokens_per_doc, model, texts, models)
        cut = True
    return await rerank_job(
        model,
        PassageField("query", asked.query),
        PassageField("documents", texts),
        None,
        max_inputs,
        truncate=cut if asked.truncate is None else asked.truncate,
        instruction=asked.instruction,
    )


def _check_cut(max_tokens: int, model: str, texts: Sequence[str], models: Sequence[ModelInfo]) -> None:
    """A document can be cut where the model can read no more, and nowhere before. Raises InvalidInput.

    No token is shorter than a byte: a document of so many bytes has no more tokens.
    """
    found = find_model(model, models, "rerank")
    limit = found.max_tokens if found else 0
    if max_tokens < limit and any(len(text.encode()) > max_tokens for text in texts):
        raise InvalidInput(
            f"max_tokens_per_doc: a document is cut at the model's own limit, {limit} tokens with the query, and not "
            "before. Leave it out, or send shorter documents.",
            param="max_tokens_per_doc",
        )


def _text_of(document: Document, fields: Sequence[str] | None, path: str) -> str:
    """Raises InvalidInput where one of the fields is not there, or no text."""
    if isinstance(document, str):
        return document
    param = "rank_fields" if fields else "documents"
    texts: list[str] = []
    for name in fields or ("text",):
        if name not in document:
            raise InvalidInput(f"{path} has no field {name[:100]!r}.", param=param)
        try:
            texts.append(msgspec.json.decode(document[name], type=str))
        except msgspec.ValidationError as error:
            raise InvalidInput(f"{path}: the field {name[:100]!r} is no text.", param=param) from error
    return "\n".join(texts)


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


def _document(document: Document) -> Mapping[str, str | msgspec.Raw]:
    return {"text": document} if isinstance(document, str) else document
