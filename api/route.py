"""A route whose endpoint takes the Request itself and returns a Response."""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

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


class DirectRoute(Route):
    """Starlette's, which does without FastAPI's parsing and dependency solving; every exception becomes the dialect's
    error.
    """

    def __init__(self, path: str, endpoint: Endpoint, operation: Operation, errors_as: ErrorFormat) -> None:
        async def handle(request: Request) -> Response:
            return await answered(request, endpoint, self._failed)

        super().__init__(path, handle, methods=[operation.method])
        self.endpoint = endpoint
        self.operation = operation
        self.errors_as = errors_as

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As FastAPI's, with the route itself: an error that the router raises is the dialect's."""
        match, found = super().matches(scope)
        return match, {**found, "route": self} if match is not Match.NONE else found

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
