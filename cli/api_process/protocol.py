"""uvicorn's HTTP, for clients that it leaves out: those that close their half of a connection, and HTTP/1.0."""

from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

_PROBE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""A reply of no consequence, which clients must pass over."""
PROBE_S = 0.5
_NO_BODY = (204, 304)


class ApiProtocol(HttpToolsProtocol):
    """A connection. What uvicorn does is as it is, except for what is written here."""

    def eof_received(self) -> bool | None:  # pyright: ignore[reportIncompatibleMethodOverride]: asyncio's own type
        """The client sends no more. True keeps the connection until its requests are answered.

        Whoever has closed the whole connection looks the same, but answers the next write with a reset, and the write
        after that fails. So two probes tell them apart: the work of a client that is gone is not done. HTTP/1.0 has no
        such replies, and its clients are taken for gone.
        """
        cycle = self.cycle  # None before the first request
        if not cycle or cycle.response_complete or cycle.more_body or cycle.scope["http_version"] == "1.0":
            return None
        last = self.pipeline[0][0] if self.pipeline else cycle
        last.keep_alive = False
        self._probe()
        self.loop.call_later(PROBE_S, self._probe)
        return True

    def _probe(self) -> None:
        """Within a reply there can be none, and none is needed: its own writes fail."""
        if not (self.cycle.response_started or self.transport.is_closing()):
            self.transport.write(_PROBE)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        unchunked: Any = _Unchunked(app, cycle)
        super()._start_asgi_task(cycle, unchunked if _is_old(cycle) else app)


def _is_old(cycle: RequestResponseCycle) -> bool:
    return cycle.scope["http_version"] == "1.0" and cycle.scope["method"] != "HEAD"


class _Unchunked:
    """ASGI. A reply of unknown length to a client of HTTP/1.0, which knows no chunks, ends with the connection."""

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle
        self._is_raw = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unchunked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers: Iterable[tuple[bytes, bytes]] = message.get("headers", ())
                names = {name.lower() for name, _ in headers}
                self._is_raw = b"content-length" not in names and message["status"] not in _NO_BODY
                if self._is_raw:
                    self._begin(message["status"], headers)
                    return
            await (self._write(message) if self._is_raw else send(message))

        await self._app(scope, receive, send_unchunked)

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        head = b"".join([STATUS_LINE[status], *lines, b"connection: close\r\n\r\n"])
        self._cycle.response_started = True
        self._cycle.transport.write(head)

    async def _write(self, message: Message) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected or cycle.response_complete:
            return
        cycle.transport.write(message.get("body", b""))
        if not message.get("more_body", False):
            cycle.response_complete = True
            cycle.message_event.set()
            cycle.transport.close()
            cycle.on_response()
