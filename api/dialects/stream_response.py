"""A reply that goes out event by event."""

import asyncio
from typing import Protocol

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.errors import known_error
from api.work.perform import CancelOnDisconnect
from api.work.stream import EventStream, StreamEvent
from jobs.errors import JobError


def named_event(event: msgspec.Struct) -> bytes:
    """A server-sent event with the name of the struct's tag."""
    return sse(str(event.__struct_config__.tag), msgspec.json.encode(event))


def sse(name: str, data: bytes) -> bytes:
    """A named server-sent event. data: without line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


class StreamDialect(Protocol):
    """How one dialect writes a stream. It is given every event of the stream, in order."""

    media_type: str
    """Of the reply."""
    waiting: bytes
    """Says that the stream lives, where there is nothing new."""

    def encode(self, event: StreamEvent) -> bytes:
        """What the caller gets of an event; may be nothing."""
        ...

    def end(self) -> bytes:
        """What follows the last event."""
        ...

    def failure(self, error: JobError) -> bytes:
        """What follows instead, where the work ended in an error."""
        ...


class StreamResponse(Response):
    """200, and the events as they come; those that are there together go out in one write.

    It closes the stream, and abandons its jobs where the caller has disconnected. To HEAD it sends no events. after:
    events up to this number are read, because later ones depend on them, but not sent.
    """

    def __init__(self, stream: EventStream, dialect: StreamDialect, *, after: int = 0) -> None:
        super().__init__()
        self._stream = stream
        self._dialect = dialect
        self._after = after
        headers = {"content-type": dialect.media_type, "cache-control": "no-cache", "x-accel-buffering": "no"}
        if len(stream.job_ids) == 1:
            headers["location"] = f"/v1/jobs/{stream.job_ids[0]}"
            headers["x-job-id"] = stream.job_ids[0]
        self.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        async with self._stream:
            try:
                with CancelOnDisconnect(request):
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    self._stream.note_written()
                    if request.method == "HEAD":
                        await send({"type": "http.response.body", "body": b"", "more_body": False})
                    else:
                        await self._send_events(request, send)
            except (ClientDisconnect, OSError):  # OSError: what ASGI servers raise for a closed connection
                await self._stream.abandon()
            except asyncio.CancelledError:
                await self._stream.abandon()
                raise

    async def _send_events(self, request: Request, send: Send) -> None:
        more = True
        while more:
            body, more = await self._next(request)
            if body or not more:
                await send({"type": "http.response.body", "body": body, "more_body": more})
                self._stream.note_written()

    async def _next(self, request: Request) -> tuple[bytes, bool]:
        """What to write next, and whether there is more after it."""
        try:
            events = await self._stream.take()
            if events is None:
                return self._dialect.end(), False
            body = b"".join([self._write(event) for event in events])
        except Exception as error:  # noqa: BLE001 - the edge of a request whose status is sent already
            return self._dialect.failure(known_error(error, request)), False
        if not body and self._stream.is_overdue:
            body = self._dialect.waiting
        return body, True

    def _write(self, event: StreamEvent) -> bytes:
        written = self._dialect.encode(event)
        return written if event.number > self._after else b""
