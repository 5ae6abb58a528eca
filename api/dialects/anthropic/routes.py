"""Anthropic's dialect: /v1/messages and /v1/messages/count_tokens."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.anthropic.events import AnthropicEvents, Event
from api.dialects.anthropic.reply import (
    AnthropicError,
    CountReply,
    MessageReply,
    anthropic_envelope,
    encode_count,
    encode_message,
)
from api.dialects.anthropic.request import CountRequest, MessagesRequest, count_job, messages_job
from api.dialects.mlxq.job_reply import accepted_response
from api.errors import Fault
from api.openapi.operation import Stream, work
from api.replies.stream_response import StreamResponse
from api.requests.body import decode_body, read_body
from api.requests.images import ImageSource
from api.route import DirectRoute, add_route
from api.work.queue import Queue
from api.work.stream import open_stream
from api.work.wait import Accepted, perform
from jobs.settings import Settings

_EXAMPLE = {"model": "CHAT-MODEL", "max_tokens": 100, "messages": [{"role": "user", "content": "Say hello."}]}
_CREATE = work(
    "anthropic",
    MessagesRequest,
    MessageReply,
    example=_EXAMPLE,
    stream=Stream(
        "text/event-stream",
        Event,
        "With `stream`: server-sent events, from `message_start` to `message_stop`. After an error in their midst "
        "comes the event `error`, with an AnthropicError.",
    ),
)
_COUNT = work("anthropic", CountRequest, CountReply, example=_EXAMPLE)


class AnthropicRoute(DirectRoute):
    error_shapes = (AnthropicError,)

    def envelope(self, fault: Fault) -> bytes:
        return anthropic_envelope(fault)


class Anthropic:
    """images: None where addresses of images are not to be fetched."""

    def __init__(self, queue: Queue, settings: Settings, images: ImageSource | None) -> None:
        self._queue = queue
        self._settings = settings
        self._images = images
        self._decoder = msgspec.json.Decoder(MessagesRequest)
        self._count_decoder = msgspec.json.Decoder(CountRequest)

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/messages", self.create_message, _CREATE, AnthropicRoute)
        add_route(app, "/v1/messages/count_tokens", self.count_tokens, _COUNT, AnthropicRoute)

    async def create_message(self, request: Request) -> Response:
        """The answer to a chat: now, as a stream, or a job's id with `Prefer: respond-async`."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._decoder, raw)
        job = await messages_job(asked, self._images)
        if job.stream:
            stream = await open_stream(self._queue, self._settings, request, [job])
            if isinstance(stream, Accepted):
                return await accepted_response(stream)
            return StreamResponse(stream, AnthropicEvents(stream.job_ids[0], asked.model))
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome)
        body = encode_message(outcome.result, job_id=outcome.job_id, model=asked.model)
        return Response(body, media_type="application/json")

    async def count_tokens(self, request: Request) -> Response:
        """How many tokens a chat has for the model; nothing is generated."""
        raw = await read_body(request, self._settings.max_body_bytes)
        asked = decode_body(self._count_decoder, raw)
        job = await count_job(asked, self._images)
        outcome = await perform(self._queue, self._settings, request, job)
        if isinstance(outcome, Accepted):
            return await accepted_response(outcome)
        return Response(encode_count(outcome.result), media_type="application/json")
