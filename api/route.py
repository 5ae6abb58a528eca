"""A FastAPI route whose endpoint takes the Request itself and returns a Response."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.errors import OPENAI_ERRORS, ErrorFormat, error_response
from api.openapi.operation import Operation
from api.requests.body import release_body
from jobs.errors import ServerStopping

Endpoint = Callable[[Request], Awaitable[Response]]

STOPPING = "the server is stopping"
"""Message of a cancel after which a request is to be answered: with 503."""

_ERRORS_AS = "mlxq.errors_as"
"""Key of the ASGI scope: the request's own error format."""


async def answered(
    request: Request, endpoint: Endpoint, failed: Callable[[Exception, Request], Response]
) -> Response:
    """The endpoint's reply, or what `failed` makes of whatever it raises."""
    try:
        return await endpoint(request)
    except Exception as error:  # noqa: BLE001 - the edge of a request
        return failed(error, request)
    except asyncio.CancelledError as error:
        if STOPPING not in error.args:
            raise
        return failed(ServerStopping(), request)
    finally:
        release_body(request)


class DirectRoute(APIRoute):
    """Skips FastAPI's parsing and dependency solving, and turns every exception into the dialect's error.

    get_route_handler is FastAPI's documented hook for that.
    """

    def __init__(self, path: str, endpoint: Endpoint, operation: Operation, errors_as: ErrorFormat) -> None:
        methods = ["GET", "HEAD"] if operation.method == "GET" else [operation.method]
        super().__init__(path, endpoint, methods=methods, response_model=None)
        self.operation = operation
        self.errors_as = errors_as

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint with an end for whatever it raises."""
        endpoint = cast(Endpoint, self.endpoint)

        async def handle(request: Request) -> Response:
            return await answered(request, endpoint, self._failed)

        return handle

    def _failed(self, error: Exception, request: Request) -> Response:
        return error_response(error, request, request.scope.get(_ERRORS_AS, self.errors_as))


def add_route(
    app: FastAPI,
    path: str,
    endpoint: Endpoint,
    operation: Operation,
    errors_as: ErrorFormat = OPENAI_ERRORS,
) -> None:
    """errors_as: how the dialect writes errors. Its shapes are in the OpenAPI document."""
    app.router.routes.append(DirectRoute(path, endpoint, operation, errors_as))


def answer_errors_as(request: Request, errors_as: ErrorFormat) -> None:
    """Errors of this request are written in another format than its route's: two dialects share the route."""
    request.scope[_ERRORS_AS] = errors_as
