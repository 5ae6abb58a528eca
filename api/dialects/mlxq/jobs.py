"""Jobs by id: POST, GET, LIST and DELETE under /v1/jobs."""

import contextlib
import re
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.jina.rerank import JinaRequest, jina_job
from api.dialects.mlxq.job_reply import JobListReply, accepted_response, job_reply
from api.dialects.openai.chat import ChatRequest, chat_job
from api.dialects.openai.completion import CompletionRequest, completion_jobs
from api.dialects.openai.embedding import EmbeddingRequest, embed_job
from api.dialects.openai.stored_chats import refuse_to_store
from api.errors import JobAlreadyEnded
from api.openapi.operation import ASKS, IDEMPOTENCY_KEY, SUBMITS, Operation, reading
from api.replies.job_reply import JobReply
from api.replies.vector_formats import Encoding
from api.requests.body import decode_body, decode_query
from api.requests.inputs import Inputs
from api.requests.sole_model import with_model
from api.route import add_route
from api.work.perform import NOTED_JOBS, Accepted, view_of_submitted, watch
from api.work.terms import LONGEST_TTL_S, async_options, idempotency_key
from jobs.errors import InvalidInput, JobError, UnknownJob
from jobs.job import ENDED, Job, JobView, Lane

Status = Literal["queued", "started", "finished", "failed", "canceled", "stopped", "scheduled", "deferred"]

# Ours are 31 hexadecimal digits; RQ's, for jobs enqueued with it, UUIDs or what the caller chose.
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

LimitSeconds = Annotated[int, msgspec.Meta(ge=1, le=LONGEST_TTL_S)]
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
    result_ttl: LimitSeconds | None = None
    metadata: Metadata | None = None
    encoding_format: Encoding | None = None
    prompt: Inputs | None = None


class JobQuery(msgspec.Struct, frozen=True, kw_only=True):
    """wait: seconds to wait for the end, cut to the server's own limit."""

    wait: Annotated[float, msgspec.Meta(ge=0)] = 0
    encoding_format: Encoding = "float"


class JobListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """after: the `next` of the last page."""

    status: Status | None = None
    model: str | None = None
    lane: Lane | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    after: str | None = None


def _body(name: str, task: str, work: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The type of the whole body for one kind of work, for the OpenAPI document.

    Bodies are read as a JobRequest, and then as `work`.
    """
    fields = {
        field.name: field for field in (*msgspec.structs.fields(work), *msgspec.structs.fields(JobRequest))
    }
    documented = set(fields) - (
        {"encoding_format", "prompt"} - {field.name for field in msgspec.structs.fields(work)}
    )
    kinds: list[tuple[str, Any] | tuple[str, Any, Any]] = [("task", Literal[task])]
    for field in fields.values():
        if field.name in documented - {"task"}:
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


_decoder = msgspec.json.Decoder(JobRequest)
_embedding_decoder = msgspec.json.Decoder(EmbeddingRequest)
_chat_decoder = msgspec.json.Decoder(ChatRequest)
_completion_decoder = msgspec.json.Decoder(CompletionRequest)
_rerank_decoder = msgspec.json.Decoder(JinaRequest)


class Jobs(Dialect):
    """/v1/jobs and /v1/jobs/{id}."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/jobs", self.create_job, _CREATE)
        add_route(app, "/v1/jobs", self.list_jobs, _LIST)
        add_route(app, "/v1/jobs/{job_id}", self.retrieve_job, _RETRIEVE)
        add_route(app, "/v1/jobs/{job_id}", self.cancel_job, _CANCEL)

    async def create_job(self, request: Request) -> Response:
        """Queues the work and answers at once with the job's id."""
        raw = await self.read_raw(request)
        asked = decode_body(_decoder, raw)
        queue, settings = self.context.queue, self.context.settings
        options = msgspec.structs.replace(
            async_options(settings, idempotency_key(request)),
            lane=asked.lane,
            time_limit_s=asked.time_limit or settings.time_limit_s,
            ttl_s=asked.ttl,
            result_ttl_s=asked.result_ttl or settings.result_ttl_s,
            retries=asked.retries,
            metadata=asked.metadata or {},
        )
        job = await self._job(asked, raw)
        ticket = await queue.submit(job, options)
        request.scope[NOTED_JOBS] = ticket.id
        view = await view_of_submitted(queue, ticket.id, job, options)
        return await accepted_response(Accepted(view), asked.encoding_format)

    async def _job(self, asked: JobRequest, raw: bytes) -> Job:
        queue, settings, images, *_ = self.context
        if asked.task == "embed":
            embedding = await with_model(decode_body(_embedding_decoder, raw), queue, "embed")
            return await embed_job(embedding, settings.max_inputs, queue, images)
        if asked.task == "rerank":
            reranking = await with_model(decode_body(_rerank_decoder, raw), queue, "rerank")
            return await jina_job(reranking, images, settings.max_inputs)
        if asked.prompt is None:
            chat = await with_model(decode_body(_chat_decoder, raw), queue, "generate")
            refuse_to_store(chat)
            return await chat_job(chat, images)
        completion = await with_model(decode_body(_completion_decoder, raw), queue, "generate")
        jobs = completion_jobs(completion, settings.max_inputs)
        if len(jobs) > 1:
            raise InvalidInput("A job takes one prompt: submit one job for each.", param="prompt")
        return jobs[0]

    async def retrieve_job(self, request: Request) -> Response:
        """The job, with its result or error once it has ended; `?wait=N` waits up to N seconds for that."""
        query = decode_query(request, JobQuery)
        job_id = job_id_of(request)
        view = await self.context.queue.view(job_id)
        if query.wait and view.status not in ENDED:
            # Whatever is raised here, the job's own error or that Redis is away, the view says or raises it as well.
            with contextlib.suppress(JobError):
                await watch(
                    self.context.queue, request, job_id, min(query.wait, self.context.settings.wait_s)
                )
            view = await self.context.queue.view(job_id)
        return await _job_response(view, query.encoding_format)

    async def list_jobs(self, request: Request) -> Response:
        """Jobs without their results, newest first."""
        query = decode_query(request, JobListQuery)
        if query.after is not None and not _JOB_ID.fullmatch(query.after):
            raise InvalidInput("after: must be the `next` of another page of the list.", param="after")
        page = await self.context.queue.views(
            status=query.status,
            model=query.model,
            lane=query.lane,
            limit=query.limit,
            offset=query.offset,
            after=query.after,
        )
        shown = [await job_reply(view) for view in page.jobs]
        reply = JobListReply(data=shown, has_more=page.next is not None, next=page.next)
        return json_response(msgspec.json.encode(reply))

    async def cancel_job(self, request: Request) -> Response:
        """Cancels a queued or running job; deletes all that is kept of one that has ended."""
        queue, job_id = self.context.queue, job_id_of(request)
        view = await queue.delete(job_id)
        if view is None:
            if not await queue.cancel(job_id):
                raise JobAlreadyEnded
            view = await queue.view(job_id)
        return await _job_response(view)


def job_id_of(request: Request) -> str:
    """Raises UnknownJob for what cannot be an id: it would become part of a Redis key."""
    job_id: str = request.path_params["job_id"]
    if not _JOB_ID.fullmatch(job_id):
        raise UnknownJob
    return job_id


async def _job_response(view: JobView, encoding: Encoding = "float") -> Response:
    return json_response(msgspec.json.encode(await job_reply(view, encoding)))
