"""Jobs by id: POST, GET, LIST and DELETE under /v1/jobs."""

import contextlib
import re
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.access_log import note_jobs
from api.dialects.jina.rerank import JinaRequest, jina_job
from api.dialects.mlxq.job_reply import JobListReply, JobReply, accepted_response, job_reply
from api.dialects.openai.chat import ChatRequest, chat_job
from api.dialects.openai.completion import CompletionRequest, completion_jobs
from api.dialects.openai.embedding import EmbeddingRequest, embed_job
from api.dialects.openai.embedding_reply import Encoding
from api.errors import JobAlreadyEnded
from api.openapi.operation import ASKS, IDEMPOTENCY_KEY, SUBMITS, Operation, reading
from api.requests.body import decode_body, decode_query, read_body
from api.requests.images import ImageSource
from api.requests.inputs import Inputs
from api.route import add_route
from api.work.queue import Queue
from api.work.submit import async_options, idempotency_key, submit
from api.work.wait import Accepted, view_of_submitted, watch
from jobs.errors import InvalidInput, JobError, UnknownJob
from jobs.job import Job, JobView, Lane
from jobs.settings import Settings

Status = Literal["queued", "started", "finished", "failed", "canceled", "stopped", "scheduled", "deferred"]
_ENDED = frozenset({"finished", "failed", "canceled", "stopped"})

# Ours are 31 hexadecimal digits; RQ's, for jobs enqueued with it, UUIDs or what the caller chose.
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_MONTH_S = 31 * 24 * 3600
LimitSeconds = Annotated[int, msgspec.Meta(ge=1, le=_MONTH_S)]
Metadata = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=64)],
        Annotated[str, msgspec.Meta(max_length=512)],
    ],
    msgspec.Meta(max_length=16),
]


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the body of POST /v1/jobs says besides the work: how it is to be treated (see SubmitOptions), in seconds.

    The fields of the work lie beside these: for embed those of /v1/embeddings, for generate those of
    /v1/chat/completions or, where there is a prompt, of /v1/completions, for rerank Jina's of /v1/rerank.
    """

    task: Literal["embed", "generate", "rerank"]
    lane: Lane = Lane.DEFAULT
    time_limit: LimitSeconds | None = None
    ttl: LimitSeconds | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    metadata: Metadata | None = None
    encoding_format: Encoding | None = None
    prompt: Inputs | None = None


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """wait: seconds to wait for the end, cut to the server's own limit."""

    wait: Annotated[float, msgspec.Meta(ge=0)] = 0
    encoding_format: Encoding = "float"


class JobListQuery(msgspec.Struct, frozen=True, kw_only=True):
    status: Status | None = None
    model: str | None = None
    lane: Lane | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    offset: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0


def _body(name: str, task: str, work: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The whole body for one kind of work, to be shown: it is read as a JobRequest and as `work`."""
    fields = {
        field.name: field for field in (*msgspec.structs.fields(work), *msgspec.structs.fields(JobRequest))
    }
    shown = set(fields) - (
        {"encoding_format", "prompt"} - {field.name for field in msgspec.structs.fields(work)}
    )
    kinds: list[tuple[str, Any] | tuple[str, Any, Any]] = [("task", Literal[task])]
    for field in fields.values():
        if field.name in shown - {"task"}:
            required = field.required
            kinds.append((field.name, field.type) if required else (field.name, field.type, field.default))
    return msgspec.defstruct(name, kinds, kw_only=True, frozen=True)


_CREATE = Operation(
    "POST",
    "jobs",
    {202: (JobReply,)},
    SUBMITS,
    body=(
        _body("EmbedJobRequest", "embed", EmbeddingRequest),
        _body("ChatJobRequest", "generate", ChatRequest),
        _body("CompletionJobRequest", "generate", CompletionRequest),
        _body("RerankJobRequest", "rerank", JinaRequest),
    ),
    example={"task": "embed", "model": "all-MiniLM-L6-v2", "input": ["A meal."], "lane": "bulk"},
    headers=(IDEMPOTENCY_KEY,),
)
_LIST = reading("jobs", JobListReply, InvalidInput, query=JobListQuery)
_RETRIEVE = reading("jobs", JobReply, InvalidInput, UnknownJob, query=JobQuery)
_CANCEL = Operation("DELETE", "jobs", {200: (JobReply,)}, (UnknownJob, JobAlreadyEnded, *ASKS))


class Jobs:
    def __init__(self, queue: Queue, settings: Settings, images: ImageSource | None) -> None:
        self._queue = queue
        self._settings = settings
        self._images = images
        self._decoder = msgspec.json.Decoder(JobRequest)
        self._embedding_decoder = msgspec.json.Decoder(EmbeddingRequest)
        self._chat_decoder = msgspec.json.Decoder(ChatRequest)
        self._completion_decoder = msgspec.json.Decoder(CompletionRequest)
        self._rerank_decoder = msgspec.json.Decoder(JinaRequest)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/jobs", self.create_job, _CREATE)
        add_route(app, "/v1/jobs", self.list_jobs, _LIST)
        add_route(app, "/v1/jobs/{job_id}", self.retrieve_job, _RETRIEVE)
        add_route(app, "/v1/jobs/{job_id}", self.cancel_job, _CANCEL)

    async def create_job(self, request: Request) -> Response:
        """Queues the work and answers at once with the job's id."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._decoder, raw)
        job = await self._job(asked, raw)
        options = msgspec.structs.replace(
            async_options(self._settings, idempotency_key(request)),
            lane=asked.lane,
            time_limit_s=asked.time_limit or self._settings.time_limit_s,
            ttl_s=asked.ttl,
            retries=asked.retries,
            metadata=asked.metadata or {},
        )
        ticket = await submit(self._queue, job, options)
        note_jobs(request, [ticket.id])
        view = await view_of_submitted(self._queue, ticket.id, job, options)
        return await accepted_response(Accepted(view), asked.encoding_format)

    async def _job(self, asked: JobRequest, raw: bytes) -> Job:
        if asked.task == "embed":
            embedding = decode_body(self._embedding_decoder, raw)
            return await embed_job(embedding, self._settings.max_inputs, self._queue, self._images)
        if asked.task == "rerank":
            reranking = decode_body(self._rerank_decoder, raw)
            return await jina_job(reranking, self._images, self._settings.max_inputs)
        if asked.prompt is None:
            return await chat_job(decode_body(self._chat_decoder, raw), self._images)
        jobs = completion_jobs(decode_body(self._completion_decoder, raw), self._settings.max_inputs)
        if len(jobs) > 1:
            raise InvalidInput("A job takes one prompt: submit one job for each.", param="prompt")
        return jobs[0]

    async def retrieve_job(self, request: Request) -> Response:
        """The job, with its result or error once it has ended; `?wait=N` waits up to N seconds for that."""
        query = decode_query(request, JobQuery)
        job_id = job_id_of(request)
        view = await self._queue.view(job_id)
        if query.wait and view.status not in _ENDED:
            # Whatever is raised here, the job's own error or a queue that went away, the view says it, too.
            with contextlib.suppress(JobError):
                await watch(self._queue, request, job_id, min(query.wait, self._settings.wait_s))
            view = await self._queue.view(job_id)
        return await _job_response(view, query.encoding_format)

    async def list_jobs(self, request: Request) -> Response:
        """Jobs without their results, newest first."""
        query = decode_query(request, JobListQuery)
        # One more than asked for tells whether there is more.
        views = await self._queue.views(
            status=query.status,
            model=query.model,
            lane=query.lane,
            limit=query.limit + 1,
            offset=query.offset,
        )
        page = [await job_reply(view) for view in views[: query.limit]]
        reply = JobListReply(data=page, has_more=len(views) > query.limit)
        return Response(msgspec.json.encode(reply), media_type="application/json")

    async def cancel_job(self, request: Request) -> Response:
        """Cancels a queued or running job."""
        job_id = job_id_of(request)
        if not await self._queue.cancel(job_id):
            raise JobAlreadyEnded
        return await _job_response(await self._queue.view(job_id))


def job_id_of(request: Request) -> str:
    """Raises UnknownJob for what cannot be an id: it would become part of a Redis key."""
    job_id: str = request.path_params["job_id"]
    if not _JOB_ID.fullmatch(job_id):
        raise UnknownJob
    return job_id


async def _job_response(view: JobView, encoding: Encoding = "float") -> Response:
    return Response(msgspec.json.encode(await job_reply(view, encoding)), media_type="application/json")
