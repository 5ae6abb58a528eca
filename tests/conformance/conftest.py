"""Services to hold against the real clients: the API alone over a dict, and the full stack of real processes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from socket import socket

import openai
import pytest
import uvicorn

from api.app import create_app
from jobs.models import ModelInfo
from jobs.search.collections import Collections
from jobs.settings import Settings
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.stack import MODEL as MINILM
from tests.support.stack import Stack

Serve = Callable[..., str]


@dataclass(frozen=True)
class Service:
    """base_url: without /v1. model: an embedding model that it serves and that allows no Matryoshka cut."""

    base_url: str
    model: ModelInfo


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def serving(queue: MemoryQueue, collections: Collections | None = None) -> Iterator[str]:
    """A real server in a thread, on a free port."""
    app = create_app(queue, Settings(), collections=collections)
    server = _Server(uvicorn.Config(app, port=0, log_level="error", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.listening.wait(60)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis, `mlxq serve` and `mlxq worker` with all-MiniLM-L6-v2."""
    with Stack(tmp_path_factory.mktemp("stack"), lease_s=2) as stack:
        yield stack


@pytest.fixture(scope="session")
def memory() -> Iterator[Service]:
    with serving(MemoryQueue()) as base_url:
        yield Service(base_url, MODEL)


@pytest.fixture(scope="session")
def full(stack: Stack) -> Service:
    return Service(stack.url, ModelInfo(id=MINILM, task="embed", created=0, dimensions=384, max_tokens=256))


@pytest.fixture(params=["memory", "full"])
def service(request: pytest.FixtureRequest) -> Service:
    return request.getfixturevalue(request.param)


@pytest.fixture
def base_url(service: Service) -> str:
    return service.base_url


@pytest.fixture
def model(service: Service) -> ModelInfo:
    return service.model


@pytest.fixture
def client(base_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server over a queue, and perhaps collections, of the test's own making; returns its base_url."""
    with ExitStack() as servers:
        yield lambda *given: servers.enter_context(serving(*given))
