"""Requests with large bodies, which another process answers: here, another server in the test's own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from api.large_bodies import LARGE_BYTES, LargeBodies
from cli.processes.listener import listen_locally, local_url
from tests.support.waiting import until, within

LARGE = b"x" * (LARGE_BYTES + 1)


class App:
    """Tells who it is, and what it was sent; or what it is asked to say. seen: bodies read; gone: callers who left."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[int] = []
        self.gone = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        if request.url.path == "/early":
            await self._say(send, 413, [b"too large"])
            return
        try:
            size = sum([len(chunk) async for chunk in request.stream()])
        except ClientDisconnect:
            self.gone += 1
            return
        self.seen.append(size)
        if not self.answers.is_set():
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone += 1
            return
        told = f"{self.name} {request.method} {request.url.path}?{request.url.query} {size} "
        await self._say(send, 201, [told.encode(), request.headers.get("x-own", "").encode(), b" and more"])

    async def _say(self, send: Send, status: int, chunks: list[bytes]) -> None:
        headers = [(b"content-type", b"text/plain"), (b"x-told", b"a"), (b"x-told", b"b")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def serving(app: object) -> AsyncIterator[str]:
    with listen_locally() as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))  # pyright: ignore
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await until(lambda: server.started)
            yield local_url(listener)
        finally:
            server.should_exit = True
            await within(running)


@pytest.fixture
async def apps() -> AsyncIterator[tuple[App, App, httpx.AsyncClient]]:
    """The application, the one for large bodies, and a client of the former."""
    here, there = App("here"), App("there")
    async with serving(there) as url:
        port = int(url.rpartition(":")[2])
        async with (
            serving(LargeBodies(here, port)) as front,
            httpx.AsyncClient(base_url=front, timeout=60) as client,
        ):
            yield here, there, client


async def test_large_bodies_are_answered_by_the_other_process(apps: tuple[App, App, httpx.AsyncClient]):
    _, _, client = apps
    reply = await client.post("/v1/a%20b?c=d", content=LARGE, headers={"x-own": "mine"})
    assert (reply.status_code, reply.text) == (201, f"there POST /v1/a b?c=d {len(LARGE)} mine and more")
    assert reply.headers.get_list("x-told") == ["a", "b"]
    assert (await client.post("/", content=b"small")).text == "here POST /? 5  and more"


async def test_bodies_of_unknown_size_are_answered_by_the_other_process(
    apps: tuple[App, App, httpx.AsyncClient],
):
    _, _, client = apps

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"y" * 100_000

    assert (await client.post("/", content=chunks())).text == "there POST /? 300000  and more"


@pytest.mark.parametrize(("coding", "who"), [("gzip", "there"), ("zstd", "there"), ("identity", "here")])
async def test_compressed_bodies_are_of_unknown_size(
    apps: tuple[App, App, httpx.AsyncClient], coding: str, who: str
):
    _, _, client = apps
    reply = await client.post("/", content=b"small", headers={"Content-Encoding": coding})
    assert reply.text == f"{who} POST /? 5  and more"


async def test_a_reply_before_the_bodys_end_reaches_the_caller(apps: tuple[App, App, httpx.AsyncClient]):
    _, _, client = apps
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(b"POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (8 * len(LARGE)) + LARGE)
    assert (await within(reader.readline())).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_caller_who_leaves_in_the_body_or_while_waiting_leaves_there_too(
    apps: tuple[App, App, httpx.AsyncClient],
):
    _, there, client = apps
    _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (2 * len(LARGE)) + LARGE)
    await writer.drain()
    writer.transport.abort()
    await until(lambda: there.gone == 1)
    there.answers.clear()
    waiting = asyncio.create_task(client.post("/", content=LARGE))
    await until(lambda: there.seen == [len(LARGE)])
    waiting.cancel()
    await until(lambda: there.gone == 2)


async def test_without_the_other_process_the_application_answers_itself():
    with listen_locally() as free:
        port = free.getsockname()[1]
    app = App("here")
    async with (
        serving(LargeBodies(app, port)) as front,
        httpx.AsyncClient(base_url=front, timeout=60) as client,
    ):
        assert (await client.post("/", content=LARGE)).text.startswith("here POST")
