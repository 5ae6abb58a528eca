"""OpenAI's dialect: /v1/chat/completions and /v1/completions."""

import time

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.mlxq.job_reply import accepted_response
from api.dialects.openai.chat import ChatRequest, chat_job, wants_usage
from api.dialects.openai.chat_chunks import ChatChunk, ChatChunks
from api.dialects.openai.chat_reply import ChatReply, encode_chat
from api.dialects.openai.completion import CompletionRequest, completion_jobs
from api.dialects.openai.completion_chunks import CompletionChunk, CompletionChunks
from api.dialects.openai.completion_reply import CompletionReply, encode_completion
from api.openapi.operation import Stream, work
from api.replies.stream_response import StreamResponse
from api.requests.body import decode_body, read_body
from api.requests.images import ImageSource
from api.route import add_route
from api.work.queue import Queue
from api.work.stream import open_stream
from api.work.wait import Accepted, perform, perform_all
from jobs.settings import Settings

CHAT_STREAM = Stream(
    "text/event-stream",
    ChatChunk,
    "With `stream`: server-sent events, each with a ChatChunk, and `[DONE]` at the end. After an error in their midst "
    "comes an ErrorReply, and no `[DONE]`.",
)
_CHAT = work(
    "openai",
    ChatRequest,
    ChatReply,
    example={"model": "CHAT-MODEL", "messages": [{"role": "user", "content": "Say hello."}]},
    stream=CHAT_STREAM,
)
_COMPLETION = work(
    "openai",
    CompletionRequest,
    CompletionReply,
    example={"model": "CHAT-MODEL", "prompt": "One, two,", "max_tokens": 8},
    stream=CHAT_STREAM._replace(
        item=CompletionChunk, description=CHAT_STREAM.description.replace("ChatChunk", "CompletionChunk")
    ),
)


class OpenAIChat:
    """images: None where addresses of images are not to be fetched."""

    def __init__(self, queue: Queue, settings: Settings, images: ImageSource | None) -> None:
        self._queue = queue
        self._settings = settings
        self._images = images
        self._chat_decoder = msgspec.json.Decoder(ChatRequest)
        self._completion_decoder = msgspec.json.Decoder(CompletionRequest)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/chat/completions", self.create_chat_completion, _CHAT)
        add_route(app, "/v1/completions", self.create_completion, _COMPLETION)

    async def create_chat_completion(self, request: Request) -> Response:
        """The answer to a chat: now, as a stream, or a job's id with `Prefer: respond-async`."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._chat_decoder, raw)
        job = await chat_job(asked, self._images)
        created = int(time.time())
        if job.stream:
            stream = await open_stream(self._queue, self._settings, request, [job])
            if isinstance(stream, Accepted):
                return await accepted_response(stream)
            usage = wants_usage(asked.stream_options)
            chunks = ChatChunks(stream.job_ids[0], asked.model, created, include_usage=usage)
            return StreamResponse(stream, chunks)
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome)
        body = encode_chat(outcome.result, job_id=outcome.job_id, model=asked.model, created=created)
        return Response(body, media_type="application/json")

    async def create_completion(self, request: Request) -> Response:
        """How one or more prompts go on: now, as a stream, or a job's id with `Prefer: respond-async`."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._completion_decoder, raw)
        jobs = completion_jobs(asked, self._settings.max_inputs)
        created = int(time.time())
        if asked.stream:
            stream = await open_stream(self._queue, self._settings, request, jobs)
            if isinstance(stream, Accepted):
                return await accepted_response(stream)
            usage = wants_usage(asked.stream_options)
            chunks = CompletionChunks(
                stream.job_ids, asked.model, created, answers=jobs[0].n, include_usage=usage
            )
            return StreamResponse(stream, chunks)
        if len(jobs) == 1:
            outcome = await perform(self._queue, self._settings, request, jobs[0])
            if isinstance(outcome, Accepted):
                return await accepted_response(outcome)
            done = [outcome]
        else:
            done = await perform_all(self._queue, self._settings, request, jobs)
        body = encode_completion(
            [each.result for each in done], job_id=done[0].job_id, model=asked.model, created=created
        )
        return Response(body, media_type="application/json")
