"""What the endpoints of every dialect are made of: their context, and the way of a request."""

import abc
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.stream_response import StreamDialect, StreamResponse
from api.replies.vector_formats import Encoding
from api.requests.body import BodiesInFlight, decode_body, read_body
from api.requests.images import ImageSource
from api.work.perform import Accepted, Done, perform, perform_all
from api.work.queue import Queue
from api.work.stream import EventStream, open_stream
from api.work.terms import Terms, terms_of
from jobs.generate import GenerateJob
from jobs.job import Job
from jobs.search.collections import Collections
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings

T = TypeVar("T")

Encode = Callable[[Sequence[Done]], bytes | Awaitable[bytes]]
"""Writes the reply to work that is done; one element per job, in the jobs' order."""


class AcceptedResponse(Protocol):
    """Writes the reply to work that goes on. It shows jobs as mlxq does, so every dialect is given it."""

    async def __call__(self, accepted: Accepted, encoding: Encoding | None = None) -> Response: ...


class Context(NamedTuple):
    """What all endpoints work with."""

    queue: Queue
    settings: Settings
    images: ImageSource | None
    """None where addresses of images are not fetched, and images are not checked."""
    accepted_response: AcceptedResponse
    bodies: BodiesInFlight
    collections: Collections | None = None
    """None where no collections can be searched."""


class Dialect(abc.ABC):
    """The endpoints of one dialect. An endpoint reads the body and the terms, makes the job, and responds."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @abc.abstractmethod
    def add_routes(self, app: FastAPI) -> None:
        """Adds the endpoints to the application."""

    @property
    def collections(self) -> Collections:
        """Raises StoreUnavailable where none can be searched."""
        if self.context.collections is None:
            raise StoreUnavailable
        return self.context.collections

    async def read(self, request: Request, decoder: msgspec.json.Decoder[T]) -> tuple[T, Terms]:
        """The decoded body, and how the work is to be done: all that is read of a request.

        Raises InvalidInput, BodyTooLarge, Overloaded, ClientDisconnect.
        """
        asked = decode_body(decoder, await self.read_raw(request))
        return asked, terms_of(request, self.context.settings)

    async def read_raw(self, request: Request) -> bytes:
        """The body as it came. Raises BodyTooLarge, Overloaded, ClientDisconnect."""
        return await read_body(request, self.context.settings.max_body_bytes, self.context.bodies)

    async def respond(
        self,
        request: Request,
        jobs: Sequence[Job],
        terms: Terms,
        encode: Encode,
        encoding: Encoding | None = None,
    ) -> Response:
        """Does the jobs and writes their results, or shows the job where the caller does not wait for its end.

        encoding: of vectors, where the job is shown. Raises what `perform` and `encode` raise.
        """
        queue = self.context.queue
        if len(jobs) == 1:
            outcome = await perform(queue, request, jobs[0], terms)
            if isinstance(outcome, Accepted):
                return await self.context.accepted_response(outcome, encoding)
            done = [outcome]
        else:
            done = await perform_all(queue, request, jobs, terms)
        body = encode(done)
        return json_response(body if isinstance(body, bytes) else await body)

    async def respond_stream(
        self,
        request: Request,
        jobs: Sequence[GenerateJob],
        terms: Terms,
        writer: Callable[[EventStream], StreamDialect],
        on_end: Callable[[str], Awaitable[None]] | None = None,
    ) -> Response:
        """Does streaming jobs and writes their events as they come. Raises what `open_stream` raises.

        on_end: is awaited with a job's id when it has ended well; an error in it is the stream's.
        """
        stream = await open_stream(self.context.queue, request, jobs, terms, on_end)
        if isinstance(stream, Accepted):
            return await self.context.accepted_response(stream)
        return StreamResponse(stream, writer(stream))


def json_response(body: bytes) -> Response:
    """200, with JSON that is encoded already."""
    return Response(body, media_type="application/json")
