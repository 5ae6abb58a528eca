"""A FastAPI route whose endpoint takes the Request itself and returns a Response."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.errors import Fault, error_response, openai_envelope

Endpoint = Callable[[Request], Awaitable[Response]]


class DirectRoute(APIRoute):
    """Skips FastAPI's parsing and dependency solving, and turns every exception into the error envelope.

    get_route_handler is FastAPI's documented hook for that.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = cast(Endpoint, self.endpoint)

        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except Exception as error:  # noqa: BLE001 - the edge of a request
                return error_response(error, request, self.envelope)

        return answer

    def envelope(self, fault: Fault) -> bytes:
        """How an error is written; a dialect that has another way overrides it."""
        return openai_envelope(fault)
