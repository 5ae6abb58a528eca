"""A job as HTTP shows it, with its result in the shape of the task's own endpoint."""

from typing import Literal

import msgspec
from starlette.responses import Response

from api.dialects.jina.rerank import encode_jina
from api.dialects.openai.chat import encode_chat
from api.dialects.openai.embedding import EmbeddingForm, encode_embeddings
from api.replies.job_reply import JobFailure, JobReply
from api.replies.vector_formats import Encoding
from api.requests.rerank import scores_of
from api.work.perform import Accepted
from jobs.generate import GenerateResult
from jobs.job import JobView, Result
from jobs.rerank import RerankResult
from jobs.tokenize import DetokenizeResult, TokenizeResult


class JobListReply(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[JobReply]
    has_more: bool
    next: str | None


async def job_reply(view: JobView, encoding: Encoding | None = None) -> JobReply:
    """encoding: of vectors. Raises InternalError for a result that is not what its task gives."""
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
    """202, with the address of the job."""
    headers = {"Location": f"/v1/jobs/{accepted.view.id}"}
    if accepted.preference:
        headers["Preference-Applied"] = accepted.preference
    reply = await job_reply(accepted.view, encoding)
    return Response(msgspec.json.encode(reply), 202, headers, "application/json")


async def _encode_result(view: JobView, result: Result, encoding: Encoding | None) -> bytes:
    if isinstance(result, GenerateResult):
        return encode_chat(result, job_id=view.id, model=view.model, created=int(view.created_at or 0))
    if isinstance(result, RerankResult):
        return encode_jina(scores_of(result), view.model, job_id=view.id)
    if isinstance(result, TokenizeResult | DetokenizeResult):
        return b"null"  # only whoever waited for it gets it
    return await encode_embeddings(result, view.model, EmbeddingForm(encoding, grids=True))
