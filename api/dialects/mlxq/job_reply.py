"""A job as HTTP shows it."""

from typing import Annotated, Literal

import msgspec
from starlette.responses import Response

from api.dialects.jina.rerank import JinaReply, encode_jina
from api.dialects.openai.chat_reply import ChatReply, encode_chat
from api.dialects.openai.embedding_reply import EmbeddingReply, Encoding, Form, encode_embeddings
from api.work.wait import Accepted
from jobs.generate import GenerateResult
from jobs.job import JobView, Result
from jobs.rerank import RerankResult

_RESULTS = (EmbeddingReply, ChatReply, JinaReply)
JobResult = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        extra_json_schema={"anyOf": [{"$ref": f"#/components/schemas/{each.__name__}"} for each in _RESULTS]}
    ),
]


class JobFailure(msgspec.Struct, frozen=True):
    code: str
    message: str
    param: str | None


class JobReply(msgspec.Struct, frozen=True, kw_only=True):
    """Times are seconds since the epoch. `result` has the shape of the task's own endpoint.

    The view does not say what was asked, so that of a generation is always a chat completion, and that of a reranking
    Jina's, with all scores and without the documents.
    """

    id: str
    object: Literal["job"] = "job"
    status: str
    task: str
    model: str
    lane: str
    position: int | None
    attempts: int
    created_at: float | None
    started_at: float | None
    ended_at: float | None
    worker: str | None
    metadata: dict[str, str]
    result: JobResult | None
    error: JobFailure | None


class JobListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[JobReply]
    has_more: bool


async def job_reply(view: JobView, encoding: Encoding | None = None) -> JobReply:
    result = None
    if view.result is not None:
        result = msgspec.Raw(await _encode_result(view, view.result, encoding))
    error = view.error and JobFailure(view.error.code, view.error.message, view.error.param)
    return JobReply(
        id=view.id,
        status=view.status,
        task=view.task,
        model=view.model,
        lane=view.lane,
        position=view.position,
        attempts=view.attempts,
        created_at=view.created_at,
        started_at=view.started_at,
        ended_at=view.ended_at,
        worker=view.worker,
        metadata=view.metadata,
        result=result,
        error=error,
    )


async def accepted_response(accepted: Accepted, encoding: Encoding | None = None) -> Response:
    """202, with the place where the job is found."""
    headers = {"Location": f"/v1/jobs/{accepted.view.id}"}
    if accepted.preference:
        headers["Preference-Applied"] = accepted.preference
    reply = await job_reply(accepted.view, encoding)
    return Response(msgspec.json.encode(reply), 202, headers, "application/json")


async def _encode_result(view: JobView, result: Result, encoding: Encoding | None) -> bytes:
    if isinstance(result, GenerateResult):
        return encode_chat(result, job_id=view.id, model=view.model, created=int(view.created_at or 0))
    if isinstance(result, RerankResult):
        return encode_jina(result, view.model)
    return await encode_embeddings(result, view.model, Form(encoding, grids=True))
