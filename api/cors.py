"""Which web pages may call the API from a browser: local ones, and those that the operator names."""

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import ErrorFormat, RequestError, error_response
from api.hosts import Hosts

# Ollama's own list: pages of this machine, and of applications that are written as pages.
_LOCAL = (
    r"https?://(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d+)?",
    r"(app|file|tauri|vscode-webview|vscode-file)://.*",
)
_METHODS = ("GET", "HEAD", "POST", "DELETE")
_SHOWN = ("Location", "Preference-Applied", "Retry-After", "X-Job-Id", "X-Should-Retry")
"""Headers of replies that pages may read."""


class OriginNotAllowed(RequestError):
    """Pages of this origin may not call the API. Name it in MLXQ_ORIGINS."""

    status = 403
    code = "origin_not_allowed"


class Cors:
    """ASGI. Answers preflights, and lets pages of allowed origins read replies. Other pages are refused: what needs no
    preflight would be done, though they cannot read it. The console checks its requests itself.

    origins: besides local ones. `*` in one stands for anything; `*` alone for every origin.
    hosts: the names under which our own pages may call.
    errors_as: how the dialect of a request writes errors.
    """

    def __init__(
        self, app: ASGIApp, origins: Sequence[str], hosts: Hosts, errors_as: Callable[[Request], ErrorFormat]
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._errors_as = errors_as
        self._with_cors = CORSMiddleware(
            app,
            allow_origins=("*",) if "*" in origins else (),
            allow_origin_regex="|".join((*_LOCAL, *map(_pattern, origins))),
            allow_methods=_METHODS,
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=_SHOWN,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] != "http" or scope["path"] == "/ui" or scope["path"].startswith("/ui/")
        if is_page:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            self._check(request)
        except RequestError as error:
            refusal = error_response(error, request, self._errors_as(request))
            await refusal(scope, receive, send)
        else:
            await self._with_cors(scope, receive, send)

    def _check(self, request: Request) -> None:
        """Programs send neither header. Preflights do nothing, and are answered by CORS. Raises OriginNotAllowed,
        UnknownHost.
        """
        origin = request.headers.get("origin")
        if origin is None:
            if "sec-fetch-site" in request.headers:
                self._hosts.check(request)
            return
        if self._with_cors.is_allowed_origin(origin) or request.method == "OPTIONS":
            return
        if urlsplit(origin).netloc != request.headers.get("host"):
            raise OriginNotAllowed
        self._hosts.check(request)


def _pattern(origin: str) -> str:
    return ".*".join(map(re.escape, origin.rstrip("/").split("*")))
