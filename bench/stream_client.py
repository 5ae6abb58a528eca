"""A client of many streams that costs little: it notes when text came, and reads no more of it than that."""

import asyncio
import json
import re
import sys
import time
from itertools import pairwise
from typing import NamedTuple, cast

import uvloop
from typing_extensions import override

from bench.client import post

TEXT = re.compile(rb'"(?:content|text)": ?"[^"]')


class Stream(NamedTuple):
    """Times on one clock. arrivals_s: when pieces of text came. status: 200 for a stream that came to its end."""

    asked_s: float
    arrivals_s: list[float]
    ended_s: float
    status: int

    @property
    def gaps_s(self) -> list[float]:
        """Between one piece of text and the next."""
        return [later - earlier for earlier, later in pairwise(self.arrivals_s)]


class StreamConnection(asyncio.Protocol):
    """One connection, one stream at a time; it ends with `data: [DONE]`, or when the server closes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._arrivals_s: list[float] = []
        self._head = b""
        self._tail = b""
        self._asked_s = 0.0
        self._ended: asyncio.Future[Stream] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    @override
    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._head = self._head or data[:16]
        if TEXT.search(data):
            self._arrivals_s.append(now)
        self._tail = (self._tail + data)[-64:]
        if b"[DONE]" in self._tail:
            self._end(now, 200 if b" 200" in self._head else 500)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end(time.perf_counter(), 500)

    def _end(self, now: float, status: int) -> None:
        if self._ended and not self._ended.done():
            self._ended.set_result(Stream(self._asked_s, self._arrivals_s, now, status))

    async def ask(self, request: bytes, seconds: float | None = None) -> Stream:
        """seconds: read so long, and leave then."""
        assert self.transport is not None
        self._head = self._tail = b""
        self._arrivals_s, self._asked_s = [], time.perf_counter()
        self._ended = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self._leave)
        return await self._ended

    def _leave(self) -> None:
        self._end(time.perf_counter(), 200)


async def read_streams(
    port: int, path: str, bodies: list[str], connections: int, seconds: float | None = None
) -> list[Stream]:
    """Every connection asks for its next stream when the last one has ended; all bodies once.

    seconds: a stream is left after so long.
    """
    loop = asyncio.get_running_loop()
    turns = iter(bodies)
    streams: list[Stream] = []

    async def work() -> None:
        for body in turns:
            _, connection = await loop.create_connection(StreamConnection, "127.0.0.1", port)
            streams.append(await connection.ask(post(path, body.encode()), seconds))
            if connection.transport:
                connection.transport.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return streams


async def streams_from_process(
    port: int, bodies: list[str], *, connections: int, path: str = "/v1/chat/completions"
) -> list[Stream]:
    """The same from a process of its own."""
    plan = json.dumps({"port": port, "path": path, "bodies": bodies, "connections": connections})
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.stream_client",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await child.communicate(plan.encode())
    return [Stream(*each) for each in json.loads(output)]


if __name__ == "__main__":
    json.dump(uvloop.run(read_streams(**json.load(sys.stdin))), sys.stdout)
