"""Connections as clients other than the usual ones treat them, over real sockets."""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cli.api_process.protocol import ApiProtocol
from cli.processes.listener import listen_locally
from tests.support.waiting import until, within

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def on_each_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """API processes run on uvloop, which treats the ends of connections in its own way."""

    def run(loop_factory: Callable[[], asyncio.AbstractEventLoop], **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(test(**fixtures))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    factory = inspect.Parameter("loop_factory", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = inspect.signature(test).parameters.values()
    run.__signature__ = inspect.Signature([factory, *own])
    return pytest.mark.parametrize(
        "loop_factory",
        [
            pytest.param(asyncio.new_event_loop, id="asyncio"),
            pytest.param(uvloop.new_event_loop, id="uvloop"),
        ],
    )(run)


class App:
    """Answers what was sent once it is told to; /stream word by word. gone: callers who left."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.answers = asyncio.Event()
        self.gone = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        said = await request.body()
        self.began.set()
        if request.url.path == "/stream":
            await StreamingResponse(self._words())(scope, receive, send)
            return
        leaves = asyncio.create_task(self._note_leaving(receive))
        await self.answers.wait()
        leaves.cancel()
        await Response(said or b"nothing")(scope, receive, send)

    async def _note_leaving(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()
        self.answers.set()

    async def _words(self) -> AsyncIterator[bytes]:
        yield b"one "
        await self.answers.wait()
        yield b"two"


@pytest.fixture
def app() -> App:
    return App()


@asynccontextmanager
async def connected(app: App, idle_timeout_s: int = 60) -> AsyncIterator[Connection]:
    config = uvicorn.Config(
        app, http=ApiProtocol, lifespan="off", log_config=None, timeout_keep_alive=idle_timeout_s
    )
    server = uvicorn.Server(config)
    with listen_locally() as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            app.answers.set()
            server.should_exit = True
            await within(running)


def request(path: str = "/", body: bytes = b"", version: str = "1.1", method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/{version}\r\nHost: mlxq\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def answers(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Head and body of each reply with a length; interim ones are passed over."""
    found: list[tuple[bytes, bytes]] = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100 "):
            continue
        length = re.search(rb"content-length: (\d+)", head)
        size_bytes = int(length[1]) if length else len(raw)
        found.append((head, raw[:size_bytes]))
        raw = raw[size_bytes:]
    return found


@on_each_loop
async def test_a_client_that_sends_no_more_is_answered(app: App):
    async with connected(app) as (reader, writer):
        writer.write(request(body=b"hello"))
        writer.write_eof()
        await within(app.began.wait())
        with pytest.raises(TimeoutError):
            await within(app.gone.wait(), 1.2)  # longer than both probes take
        app.answers.set()

        [(head, body)] = answers(await within(reader.read()))

    assert (head.split()[1], body) == (b"200", b"hello")
    assert b"connection: close" in head


@on_each_loop
async def test_a_client_that_sends_no_more_is_answered_at_once(app: App):
    app.answers.set()
    async with connected(app) as (reader, writer):
        writer.write(request(body=b"hello"))
        writer.write_eof()

        [(head, body)] = answers(await within(reader.read()))

    assert (head.split()[1], body) == (b"200", b"hello")


@on_each_loop
async def test_all_requests_of_a_client_that_sends_no_more_are_answered(app: App):
    async with connected(app) as (reader, writer):
        writer.write(request(body=b"one") + request(body=b"two") + request(body=b"three"))
        writer.write_eof()
        await within(app.began.wait())
        app.answers.set()

        found = answers(await within(reader.read()))

    assert [body for _, body in found] == [b"one", b"two", b"three"]
    assert [b"connection: close" in head for head, _ in found] == [False, False, True]


@on_each_loop
async def test_a_client_that_is_gone_is_noticed(app: App):
    async with connected(app) as (_, writer):
        writer.write(request(body=b"hello"))
        await within(app.began.wait())
        writer.close()
        await within(app.gone.wait())


@on_each_loop
async def test_a_request_that_ends_in_its_midst_is_that_of_a_client_that_is_gone(app: App):
    async with connected(app) as (reader, writer):
        writer.write(request(body=b"hello")[:-1])
        writer.write_eof()
        assert await within(reader.read()) == b""


@on_each_loop
async def test_a_stream_to_an_old_client_has_no_chunks_and_ends_with_the_connection(app: App):
    async with connected(app) as (reader, writer):
        writer.write(request("/stream", version="1.0"))
        head = await within(reader.readuntil(b"\r\n\r\n"))
        assert await within(reader.readexactly(4)) == b"one "  # before the second is there
        app.answers.set()
        assert await within(reader.read()) == b"two"

    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in head.lower() and b"transfer-encoding" not in head.lower()


@on_each_loop
async def test_a_stream_to_any_other_client_has_chunks(app: App):
    app.answers.set()
    async with connected(app) as (reader, writer):
        writer.write(request("/stream"))
        assert b"transfer-encoding: chunked" in await within(reader.readuntil(b"\r\n\r\n"))
        assert await within(reader.readuntil(b"0\r\n\r\n")) == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"


@on_each_loop
async def test_an_old_client_that_leaves_is_noticed(app: App):
    async with connected(app) as (_, writer):
        writer.write(request(body=b"hello", version="1.0"))
        await within(app.began.wait())
        writer.close()
        await within(app.gone.wait())


@on_each_loop
async def test_an_idle_connection_is_closed_when_its_time_is_over(app: App):
    app.answers.set()
    async with connected(app, idle_timeout_s=1) as (reader, writer):
        for word in (b"one", b"two"):
            writer.write(request(body=word))
            head = await within(reader.readuntil(b"\r\n\r\n"))
            assert b"connection: close" not in head
            assert await within(reader.readexactly(3)) == word
        assert await within(reader.read()) == b""
