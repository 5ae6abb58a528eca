"""Requests with large bodies are answered by a process of their own. Reading 30 MB blocks an event loop for up to half
a second, and with it every other request of the process.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.process.cancelling import cancel_and_wait

log = logging.getLogger("mlxq.api")

LARGE_BYTES = 1 << 20
"""A smaller body is read in a few milliseconds."""

CONNECT_S = 1.0

_CONNECTION_HEADERS = (b"connection", b"keep-alive", b"transfer-encoding", b"expect", b"upgrade")
"""Headers that are not forwarded: they concern one connection."""

Headers = Iterable[tuple[bytes, bytes]]


class LargeBodies:
    """ASGI. Forwards requests with large bodies, or of unknown size, to the process that listens on a port of this
    machine; a compressed body is of unknown size. The application answers all others, and answers those too where that
    process cannot be reached.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_large(scope["headers"]):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except (OSError, TimeoutError):
            log.warning("the process for large bodies cannot be reached")
            await self._app(scope, receive, send)
            return
        try:
            await _forward(scope, receive, send, reader, writer)
        finally:
            writer.transport.abort()


def _is_large(headers: Headers) -> bool:
    found = dict(headers)
    announced = found.get(b"content-length", b"")
    if found.get(b"content-encoding", b"identity") != b"identity":
        return True
    return b"chunked" in found.get(b"transfer-encoding", b"") or (
        announced.isdigit() and (len(announced) > 18 or int(announced) > LARGE_BYTES)
    )


async def _forward(
    scope: Scope, receive: Receive, send: Send, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Ends when the reply has ended, or the caller has disconnected."""
    request = asyncio.create_task(_forward_request(scope, receive, writer))
    reply = asyncio.create_task(_forward_reply(reader, send))
    try:
        await asyncio.wait([request, reply], return_when=asyncio.FIRST_COMPLETED)
        if request.done() and request.result():  # the caller has disconnected
            return
        await reply
    finally:
        await cancel_and_wait(request, reply)


async def _forward_request(scope: Scope, receive: Receive, writer: asyncio.StreamWriter) -> bool:
    """True once the caller has disconnected. False where the other process reads no more, because it has replied."""
    chunked = b"content-length" not in dict(scope["headers"])
    try:
        writer.write(_head(scope, chunked=chunked))
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return True
            body: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            if body:
                writer.writelines([b"%x\r\n" % len(body), body, b"\r\n"] if chunked else [body])
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
    except OSError:
        return False
    while (await receive())["type"] != "http.disconnect":
        pass
    return True


def _head(scope: Scope, *, chunked: bool) -> bytes:
    target: bytes = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    headers = [(name, value) for name, value in scope["headers"] if name not in _CONNECTION_HEADERS]
    headers.append((b"transfer-encoding", b"chunked") if chunked else (b"connection", b"close"))
    lines = [scope["method"].encode() + b" " + target + b" HTTP/1.1"]
    return b"\r\n".join([*lines, *(name + b": " + value for name, value in headers), b"", b""])


class _Reply:
    """Makes ASGI messages of a reply. The methods are httptools' callbacks."""

    def __init__(self) -> None:
        self.messages: list[dict[str, object]] = []
        self.complete = False
        self._headers: list[tuple[bytes, bytes]] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in _CONNECTION_HEADERS:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= 200:
            self.messages.append({"type": "http.response.start", "status": status, "headers": self._headers})
        self._headers = []

    def on_body(self, body: bytes) -> None:
        self.messages.append({"type": "http.response.body", "body": body, "more_body": True})

    def on_message_complete(self) -> None:
        if self.messages or self.parser.get_status_code() >= 200:
            self.complete = True
            self.messages.append({"type": "http.response.body", "body": b"", "more_body": False})


async def _forward_reply(reader: asyncio.StreamReader, send: Send) -> None:
    """Sends the reply as it comes. Raises ConnectionError where it ends too early."""
    reply = _Reply()
    while not reply.complete:
        data = await reader.read(1 << 16)
        if not data:
            raise ConnectionError("the process for large bodies has ended")
        with contextlib.suppress(httptools.HttpParserUpgrade):
            reply.parser.feed_data(data)
        for message in reply.messages:
            await send(message)
        reply.messages.clear()
