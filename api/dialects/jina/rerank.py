"""Jina's reranking body, in and out: used by its own endpoint and by /v1/jobs."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from api.errors import ErrorFormat, Fault
from api.replies.usage import PromptUsage
from api.requests.images import ImageSource
from api.requests.inputs import GivenPassage, PassageField, PassageObject, PassagePart
from api.requests.parameters import Refused
from api.requests.rerank import Scores, TopN, ranked, rerank_job
from api.requests.truncation import truncates
from api.requests.vllm.cosine import ranking_model, vector_jobs
from api.requests.vllm.refusals import PoolingFields
from api.work.queue import Queue
from jobs.errors import InvalidInput
from jobs.job import Job
from jobs.rerank import RerankJob

_OWN_LIMIT = Refused(
    "a document is cut at the model's own limit only, with truncation = true, and a query never.",
    unless=(None,),
)


class JinaRequest(PoolingFields, frozen=True, kw_only=True):
    """The body of POST /v1/rerank. Fields it does not name are ignored.

    model: need not be named where one reranks. truncate, truncation, truncate_prompt_tokens (vLLM's): names of one
    thing. instruction, raw_scores: as in RerankJob. use_activation: vLLM's; false means raw_scores.
    """

    model: str = ""
    query: GivenPassage
    documents: GivenPassage | tuple[GivenPassage, ...]
    top_n: TopN | None = None
    return_documents: bool | None = None
    truncation: bool | None = None
    truncate: bool | None = None
    truncate_prompt_tokens: int | None = None
    instruction: str | None = None
    raw_scores: bool | None = None
    use_activation: bool | None = None
    return_embeddings: Annotated[Any, Refused("a reranking has scores only.")] = None
    max_doc_length: Annotated[Any, _OWN_LIMIT] = None
    max_query_length: Annotated[Any, _OWN_LIMIT] = None


class RankedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """As it came; multi_modal: the content of one in vLLM's form."""

    text: str | UnsetType = UNSET
    image: str | UnsetType = UNSET
    multi_modal: tuple[PassagePart, ...] | UnsetType = UNSET


class JinaResult(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    relevance_score: float
    document: RankedDocument | UnsetType = UNSET


class JinaReply(msgspec.Struct, frozen=True, kw_only=True):
    """id: vLLM's; it holds the job's."""

    id: str
    model: str
    usage: PromptUsage
    results: list[JinaResult]


class JinaError(msgspec.Struct, frozen=True):
    detail: str


async def jina_job(asked: JinaRequest, source: ImageSource | None, max_inputs: int) -> RerankJob:
    """The job that a request asks for; fetches the images it names. Raises InvalidInput naming the field."""
    if None not in (asked.truncate, asked.truncation) and asked.truncate != asked.truncation:
        raise InvalidInput("truncate and truncation contradict each other.", param="truncate")
    return await rerank_job(
        asked.model,
        PassageField("query", asked.query),
        PassageField("documents", asked.documents),
        source,
        max_inputs,
        truncate=truncates(
            asked.truncate_prompt_tokens,
            bool(asked.truncation if asked.truncate is None else asked.truncate),
        ),
        instruction=asked.instruction,
        raw_scores=bool(asked.raw_scores) or asked.use_activation is False,
    )


async def jina_jobs(
    asked: JinaRequest, queue: Queue, source: ImageSource | None, max_inputs: int
) -> tuple[Job, ...]:
    """The job that a request asks for, or the two of an embedding model (see vector_jobs). Raises as `jina_job` does,
    and what `ranking_model` raises.
    """
    model = await ranking_model(asked.model, queue)
    job = await jina_job(msgspec.structs.replace(asked, model=model.name), source, max_inputs)
    if not model.by_vectors:
        return (job,)
    return vector_jobs(
        model.name, [job.query], job.documents, truncate=job.truncate, instruction=job.instruction
    )


def encode_jina(
    scores: Scores,
    model: str,
    *,
    job_id: str,
    top_n: int | None = None,
    documents: GivenPassage | Sequence[GivenPassage] | None = None,
) -> bytes:
    """The reply as JSON bytes. documents: None where they are not shown."""
    if isinstance(documents, str | PassageObject):
        documents = (documents,)
    results = [
        JinaResult(
            index=index,
            relevance_score=score,
            document=UNSET if documents is None else _document(documents[index]),
        )
        for index, score in ranked(scores, top_n)
    ]
    usage = PromptUsage(prompt_tokens=scores.tokens, total_tokens=scores.tokens)
    return msgspec.json.encode(JinaReply(id=f"rerank-{job_id}", model=model, usage=usage, results=results))


def jina_envelope(fault: Fault) -> bytes:
    """A JinaError as JSON."""
    return msgspec.json.encode(JinaError(fault.message))


JINA_ERRORS = ErrorFormat(jina_envelope, (JinaError,))


def _document(given: GivenPassage) -> RankedDocument:
    if isinstance(given, str):
        return RankedDocument(text=given)
    return RankedDocument(
        text=UNSET if given.text is None else given.text,
        image=given.image or UNSET,
        multi_modal=given.content or UNSET,
    )
