"""A server that is told to stop: what is on its way arrives, what asks a silent Redis is no error."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from cli.api_process import server as api_server
from cli.api_process.server import ApiServer
from tests.support.waiting import until, within

SIZE_BYTES = 32 * 1024 * 1024


class Queue:
    """Of a Redis that answers, or is silent for ever."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.stopped = asyncio.Event()

    async def ready(self) -> bool:
        if self.silent:
            await asyncio.Event().wait()
        return True

    def stop_waiting(self) -> None:
        self.stopped.set()


async def large_reply(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
        return
    headers = [(b"connection", b"close"), (b"content-length", b"%d" % SIZE_BYTES)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * SIZE_BYTES})


@asynccontextmanager
async def serving(queue: Queue) -> AsyncIterator[tuple[ApiServer, int, asyncio.Task[None]]]:
    server = ApiServer(large_reply, queue, idle_timeout_s=60)  # pyright: ignore[reportArgumentType]: as much of a queue as it needs
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        yield server, listener.getsockname()[1], task


async def test_a_reply_that_is_complete_reaches_a_slow_reader(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api_server, "FINISH_S", 0.01)
    monkeypatch.setattr(api_server, "STOP_S", 600)
    queue = Queue()
    async with serving(queue) as (server, port, task):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: mlxq\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        cut_short = asyncio.Event()
        original = server._end_requests

        async def end_requests() -> None:
            await original()
            cut_short.set()

        monkeypatch.setattr(server, "_end_requests", end_requests)
        server.should_exit = True
        await within(queue.stopped.wait())
        await within(cut_short.wait())
        assert len(await reader.read()) == SIZE_BYTES
        await task
        writer.close()


async def test_a_silent_redis_leaves_no_task_behind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api_server, "FINISH_S", 0.01)
    queue = Queue(silent=True)
    before = asyncio.all_tasks()
    async with serving(queue) as (server, _, task):
        server.should_exit = True
        await task
    assert asyncio.all_tasks() == before
