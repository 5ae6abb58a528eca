"""Which web pages may call the API from a browser: local ones, and those that the operator names."""

import re
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# Ollama's own list: pages of this machine, and of applications that are written as pages.
_LOCAL = (
    r"https?://(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d+)?",
    r"(app|file|tauri|vscode-webview|vscode-file)://.*",
)
_METHODS = ("GET", "HEAD", "POST", "DELETE")
_SHOWN = ("Location", "Preference-Applied", "Retry-After", "X-Job-Id", "X-Should-Retry")
"""Headers of replies that pages may read."""


class Cors:
    """ASGI. Answers preflights, and lets pages of allowed origins read replies. The console's are for no other origin.

    origins: besides local ones. `*` in one stands for anything; `*` alone for every origin.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
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
        await (self._app if is_page else self._with_cors)(scope, receive, send)


def _pattern(origin: str) -> str:
    return ".*".join(map(re.escape, origin.rstrip("/").split("*")))
