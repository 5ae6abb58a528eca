from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.requests.images import ImageSource
from jobs.search.collections import Collections
from jobs.settings import Settings
from tests.support.chat_requests import ScriptedQueue
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL

Connect = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """A client of an API over the given queue; `images` fetches images, `collections` are searched, the other keywords
    are settings.
    """
    async with AsyncExitStack() as clients:

        def open_client(
            queue: MemoryQueue,
            images: ImageSource | None = None,
            collections: Collections | None = None,
            **settings: object,
        ) -> httpx.AsyncClient:
            app = create_app(queue, Settings.model_validate(settings), images, collections)
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlxq")
            clients.push_async_callback(client.aclose)
            return client

        yield open_client


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue()


@pytest.fixture
def client(connect: Connect, queue: MemoryQueue) -> httpx.AsyncClient:
    return connect(queue)


@pytest.fixture
def generator() -> MemoryQueue:
    """A queue that both embeds and chats."""
    return MemoryQueue(models=(MODEL, CHAT_MODEL))


@pytest.fixture
def chat_client(connect: Connect, generator: MemoryQueue) -> httpx.AsyncClient:
    return connect(generator)


@pytest.fixture
def reranker() -> MemoryQueue:
    """A queue that embeds, chats and reranks."""
    return MemoryQueue(models=(MODEL, CHAT_MODEL, RERANK_MODEL))


@pytest.fixture
def rerank_client(connect: Connect, reranker: MemoryQueue) -> httpx.AsyncClient:
    return connect(reranker)


@pytest.fixture
def script() -> ScriptedQueue:
    """A queue whose streams give what the test puts into `script.script`."""
    return ScriptedQueue()


@pytest.fixture
def app(script: ScriptedQueue) -> FastAPI:
    """The API over it."""
    return create_app(script, Settings())
