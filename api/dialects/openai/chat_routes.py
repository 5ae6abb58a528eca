"""OpenAI's dialect: /v1/chat/completions and /v1/completions."""

import time

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect
from api.dialects.openai.chat import ChatReply, ChatRequest, chat_job, encode_chat
from api.dialects.openai.chunks import ChatChunk, ChatChunks, CompletionChunk, CompletionChunks
from api.dialects.openai.completion import (
    CompletionReply,
    CompletionRequest,
    completion_jobs,
    encode_completion,
)
from api.dialects.openai.stored_chats import storing
from api.dialects.openai.stream_options import wanted_usage
from api.openapi.operation import Stream, work
from api.requests.sole_model import with_model
from api.route import add_route
from api.work.model_defaults import OPENAI, with_defaults
from jobs.job import Result

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

_chat_decoder = msgspec.json.Decoder(ChatRequest)
_completion_decoder = msgspec.json.Decoder(CompletionRequest)


class OpenAIChat(Dialect):
    """/v1/chat/completions and /v1/completions."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/chat/completions", self.create_chat_completion, _CHAT)
        add_route(app, "/v1/completions", self.create_completion, _COMPLETION)

    async def create_chat_completion(self, request: Request) -> Response:
        """The answer to a chat: now, as a stream, or a job's id with `Prefer: respond-async`."""
        asked, terms = await self.read(request, _chat_decoder)
        asked = await with_model(asked, self.context.queue, "generate")
        asked = await with_defaults(asked, self.context.queue, OPENAI)
        store = await storing(asked, terms, self.context.queue.chats)
        job = await chat_job(asked, self.context.images)
        created = int(time.time())

        async def write(result: Result | None, job_id: str) -> bytes:
            reply = encode_chat(result, job_id=job_id, model=asked.model, created=created)
            if store is not None:
                await store.keep(job_id, reply)
            return reply

        async def store_streamed(job_id: str) -> None:
            await write((await self.context.queue.view(job_id)).result, job_id)

        if job.stream:
            usage = wanted_usage(asked.stream_options)
            return await self.respond_stream(
                request,
                [job],
                terms,
                lambda stream: ChatChunks(stream.job_ids[0], asked.model, created, usage=usage),
                None if store is None else store_streamed,
            )
        return await self.respond(request, [job], terms, lambda done: write(done[0].result, done[0].job_id))

    async def create_completion(self, request: Request) -> Response:
        """How one or more prompts go on: now, as a stream, or a job's id with `Prefer: respond-async`."""
        asked, terms = await self.read(request, _completion_decoder)
        asked = await with_model(asked, self.context.queue, "generate")
        asked = await with_defaults(asked, self.context.queue, OPENAI)
        jobs = completion_jobs(asked, self.context.settings.max_inputs)
        created = int(time.time())
        if asked.stream:
            usage = wanted_usage(asked.stream_options)
            return await self.respond_stream(
                request,
                jobs,
                terms,
                lambda stream: CompletionChunks(
                    stream.job_ids, asked.model, created, answers=jobs[0].n, usage=usage
                ),
            )
        return await self.respond(
            request,
            jobs,
            terms,
            lambda done: encode_completion(
                [each.result for each in done],
                job_id=done[0].job_id,
                model=asked.model,
                created=created,
                echo=bool(asked.echo),
            ),
        )
