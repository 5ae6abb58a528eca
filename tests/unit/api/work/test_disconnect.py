"""Over real sockets: whether a caller is still there is the server's to say."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from socket import socket

import pytest
import uvicorn

from api.app import create_app
from cli.api_process.protocol import ApiProtocol
from jobs.embed import EmbedJob
from jobs.job import SubmitOptions
from jobs.settings import Settings
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.waiting import within

Send = Callable[..., Awaitable[asyncio.StreamWriter]]


class WatchedQueue(MemoryQueue):
    """Holds every job, and says when one is waited for, given up or canceled."""

    def __init__(self) -> None:
        super().__init__(models=(MODEL, RERANK_MODEL), held=True)
        self.waited = asyncio.Event()
        self.left = asyncio.Event()
        self.given_up = asyncio.Event()

    async def wait(self, job_id: str, timeout_s: float):
        self.waited.set()
        try:
            return await super().wait(job_id, timeout_s)
        finally:
            self.left.set()

    async def cancel(self, job_id: str) -> bool:
        self.given_up.set()
        return await super().cancel(job_id)


@pytest.fixture
def queue() -> WatchedQueue:
    return WatchedQueue()


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def serving(queue: MemoryQueue) -> AsyncIterator[int]:
    app = create_app(queue, Settings())
    server = Server(
        uvicorn.Config(
            app, port=0, http=ApiProtocol, log_level="error", ws="none", timeout_graceful_shutdown=1
        )
    )
    task = asyncio.create_task(server.serve())
    await within(server.listening.wait())
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


@pytest.fixture
async def send(queue: WatchedQueue) -> AsyncIterator[Send]:
    async with serving(queue) as port:

        async def send_request(method: str, path: str, body: object = None, *headers: str):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            raw = json.dumps(body).encode() if body else b""
            lines = [f"{method} {path} HTTP/1.1", "Host: mlxq", f"Content-Length: {len(raw)}", *headers]
            writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
            await within(queue.waited.wait())
            return writer

        yield send_request


WORK = {"model": MODEL.id, "input": "a"}


RERANKING = {"model": RERANK_MODEL.id, "query": "a", "documents": ["a"]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", WORK),
        ("/v1/rerank", RERANKING),
        ("/v1/rerank", {**RERANKING, "max_chunks_per_doc": 1}),
        ("/v2/rerank", RERANKING),
        ("/rerank", {"query": "a", "texts": ["a"]}),
        ("/v1/score", {"text_1": "a", "text_2": "a"}),
    ],
)
async def test_the_job_of_a_caller_that_disconnected_is_canceled(
    queue: WatchedQueue, send: Send, path: str, body: object
):
    writer = await send("POST", path, body)
    writer.close()
    await within(queue.given_up.wait())
    assert len(queue.canceled) == 1


async def test_the_job_of_a_caller_that_stays_is_not_canceled(queue: WatchedQueue, send: Send):
    writer = await send("POST", "/v1/embeddings", WORK)
    with pytest.raises(TimeoutError):
        await within(queue.given_up.wait(), 0.3)
    writer.close()


@pytest.mark.parametrize("header", ["Idempotency-Key: k", "Prefer: respond-async, wait=60"])
async def test_a_job_made_to_outlive_its_caller_is_not_canceled(queue: WatchedQueue, send: Send, header: str):
    writer = await send("POST", "/v1/embeddings", WORK, header)
    writer.close()
    await within(queue.left.wait())
    queue.release()
    assert not queue.given_up.is_set()
    assert [view.status for view in (await queue.views(limit=9)).jobs] == ["finished"]


async def test_a_long_poll_that_was_left_ends_and_cancels_nothing(queue: WatchedQueue, send: Send):
    ticket = await queue.submit(EmbedJob(model=MODEL.id, inputs=("a",)), SubmitOptions())
    writer = await send("GET", f"/v1/jobs/{ticket.id}?wait=60")
    writer.close()
    await within(queue.left.wait())
    assert not queue.given_up.is_set()
