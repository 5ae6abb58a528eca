"""A FastAPI route whose endpoint takes the Request itself and returns a Response."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.errors import Envelope, ErrorReply, Fault, error_response, openai_envelope
from api.openapi.operation import Operation
from jobs.errors import ServerStopping

Endpoint = Callable[[Request], Awaitable[Response]]

STOPPING = "the server is stopping"
"""Message of a cancel that a request is to be answered after: with 503."""


class DirectRoute(APIRoute):
    """Skips FastAPI's parsing and dependency solving, and turns every exception into the error envelope.

    get_route_handler is FastAPI's documented hook for that. operation: what the OpenAPI document says of it.
    error_shapes: the types of what `envelope` writes.
    """

    error_shapes: ClassVar[tuple[type, ...]] = (ErrorReply,)

    def __init__(self, path: str, endpoint: Endpoint, operation: Operation) -> None:
        super().__init__(path, endpoint, methods=[operation.method], response_model=None)
        self.operation = operation

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = cast(Endpoint, self.endpoint)

        async def handle(request: Request) -> Response:
            return await answer(request, endpoint(request), self.envelope)

        return handle

    def envelope(self, fault: Fault) -> bytes:
        """How an error is written; a dialect that has another way overrides it, and error_shapes."""
        return openai_envelope(fault)


def add_route(
    app: FastAPI, path: str, endpoint: Endpoint, operation: Operation, kind: type[DirectRoute] = DirectRoute
) -> None:
    """kind: the dialect's."""
    app.router.routes.append(kind(path, endpoint, operation))


async def answer(request: Request, work: Awaitable[Response], envelope: Envelope) -> Response:
    """The response that `work` makes, or whatever it raises in the envelope."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - the edge of a request
        return error_response(error, request, envelope)
    except asyncio.CancelledError as error:
        if STOPPING not in error.args:
            raise
        return error_response(ServerStopping(), request, envelope)
