"""Anthropic's dialect: /v1/messages and /v1/messages/count_tokens."""

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.anthropic.chat import (
    CountRequest,
    MessagesRequest,
    count_job,
    message_form,
    messages_job,
)
from api.dialects.anthropic.errors import ANTHROPIC_ERRORS
from api.dialects.anthropic.events import AnthropicEvents, Event
from api.dialects.anthropic.replies import CountReply, MessageReply, encode_count, encode_message
from api.dialects.dialect import Dialect
from api.openapi.operation import Stream, work
from api.route import add_route
from api.work.model_defaults import ANTHROPIC, with_defaults

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

_decoder = msgspec.json.Decoder(MessagesRequest)
_count_decoder = msgspec.json.Decoder(CountRequest)


class Anthropic(Dialect):
    """/v1/messages and /v1/messages/count_tokens."""

    def add_routes(self, app: FastAPI) -> None:
        add_route(app, "/v1/messages", self.create_message, _CREATE, ANTHROPIC_ERRORS)
        add_route(app, "/v1/messages/count_tokens", self.count_tokens, _COUNT, ANTHROPIC_ERRORS)

    async def create_message(self, request: Request) -> Response:
        """The answer to a chat: now, as a stream, or a job's id with `Prefer: respond-async`."""
        asked, terms = await self.read(request, _decoder)
        asked = await with_defaults(asked, self.context.queue, ANTHROPIC)
        job = await messages_job(asked, self.context.images)
        form = message_form(asked, job, self.context.settings.prefix_cache_bytes)
        if job.stream:
            return await self.respond_stream(
                request, [job], terms, lambda stream: AnthropicEvents(stream.job_ids[0], asked.model, form)
            )
        return await self.respond(
            request,
            [job],
            terms,
            lambda done: encode_message(done[0].result, job_id=done[0].job_id, model=asked.model, form=form),
        )

    async def count_tokens(self, request: Request) -> Response:
        """How many tokens a chat has for the model; nothing is generated."""
        asked, terms = await self.read(request, _count_decoder)
        job = await count_job(asked, self.context.images)
        return await self.respond(request, [job], terms, lambda done: encode_count(done[0].result))
