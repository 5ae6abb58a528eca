"""Paths as clients write them: with slashes too many, or without /v1."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile("//+")
_ALIASES = {
    "/v1/health": "/health",
    "/ping": "/health",
    "/reranking": "/rerank",
    "/v1/reranking": "/v1/rerank",
}
"""Names that llama.cpp, and servers for SageMaker, have for the same."""
_WITHOUT_V1 = re.compile(r"/(?:chat/completions(?:/.*)?|completions|embeddings|models/.*|score)\Z")
"""Paths that vLLM, infinity and llama.cpp have without /v1, too, and whose clients are given such an address."""


class Paths:
    """ASGI. `//v1//score` and `/score` are `/v1/score`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            found = _SLASHES.sub("/", path) if "//" in path else path
            found = _ALIASES.get(found, found)
            if _WITHOUT_V1.match(found):
                found = f"/v1{found}"
            if found != path:
                scope = {**scope, "path": found}
        await self._app(scope, receive, send)
