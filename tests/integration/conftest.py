"""A running worker on a fake model, and a client of it."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeRunner
from tests.support.running_worker import ThreadWorker, open_queue, running_worker


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def worker(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
) -> Iterator[ThreadWorker]:
    with running_worker(redis_server.url, runner, release=runner.gate) as worker:
        yield worker


@pytest.fixture
async def queue(worker: ThreadWorker, redis_server: RedisServer) -> AsyncIterator[JobQueue]:
    async with open_queue(redis_server.url) as queue:
        yield queue
