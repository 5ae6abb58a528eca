"""A line in the log for each request: method, path, status, time, and the job's id where there is one."""

import logging
import time
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.work.perform import NOTED_JOBS

log = logging.getLogger("mlxq.access")

_PROBES = ("/", "/health", "/ready")
_MOST_CHARACTERS = 200


class AccessLog:
    """ASGI. Writes the line of each request.

    It holds no body, header or query: they may hold prompts and keys. Health checks are frequent, so they are DEBUG.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            level = logging.DEBUG if scope["path"] in _PROBES else logging.INFO
            if log.isEnabledFor(level):
                elapsed_ms = (time.monotonic() - started) * 1000
                fields = {"job_id": scope[NOTED_JOBS]} if NOTED_JOBS in scope else None
                log.log(
                    level, "%s %s %d %.0f ms", scope["method"], _path(scope), status, elapsed_ms, extra=fields
                )


def _path(scope: Scope) -> str:
    """As it was sent, so that it stays one line of printable characters."""
    return quote(scope["path"], safe="/:@!$&'()*+,;=~")[:_MOST_CHARACTERS]
