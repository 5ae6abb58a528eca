"""Routes of pages: who may ask, the headers of every reply, and a page for every error."""

from typing import NamedTuple

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from api.errors import RequestError, fault_of, known_error
from api.hosts import Hosts
from api.route import Endpoint, answered
from api.ui.layout import Layout
from api.ui.security import HEADERS, check_origin
from jobs.errors import NoWorker, QueueUnavailable, UnknownModel
from jobs.search.errors import StoreUnavailable

# nginx's status for a caller that disconnected; nobody reads it.
_CLIENT_CLOSED_REQUEST = 499


class PageRoutes:
    """Adds endpoints to the application. They raise what they like: it is shown as a page."""

    def __init__(self, app: FastAPI, layout: Layout, hosts: Hosts) -> None:
        self._app = app
        self._layout = layout
        self._hosts = hosts

    def add(self, path: str, endpoint: Endpoint, method: str = "GET") -> None:
        """A POST is taken from our own pages only."""

        async def allowed(request: Request) -> Response:
            self._hosts.check(request)
            if method == "POST":
                check_origin(request)
            return await endpoint(request)

        async def handle(request: Request) -> Response:
            response = await answered(request, allowed, self._failed)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        self._app.router.routes.append(Route(path, handle, methods=[method], include_in_schema=False))

    def _failed(self, error: Exception, request: Request) -> Response:
        if isinstance(error, ClientDisconnect):
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        view = error_view(error, request)
        return self._layout.render("error", view.status, error=view)


class ErrorView(NamedTuple):
    """An error, as pages show it."""

    status: int
    message: str
    code: str
    param: str | None
    hint: str
    """Which of the hints helps: "store", "worker", "". The template has them."""


def error_view(error: Exception, request: Request) -> ErrorView:
    """An unexpected one is logged, and shown as an internal error."""
    if isinstance(error, RequestError):
        return ErrorView(error.status, error.message, error.code, error.param, "")
    known = fault_of(known_error(error, request))
    return ErrorView(known.status, known.message, known.code, known.param, _HINTS.get(known.code, ""))


_HINTS = {
    StoreUnavailable.code: "store",
    QueueUnavailable.code: "store",
    NoWorker.code: "worker",
    UnknownModel.code: "worker",
}
