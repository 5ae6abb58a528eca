"""A queue and a worker's side of it, over one fakeredis."""

from collections.abc import AsyncIterator

import fakeredis
import pytest

from jobs.client import watch
from jobs.client.queue import JobQueue
from jobs.settings import Settings
from jobs.store import keys
from tests.support.queue_jobs import INFO, WRITER, announce
from workers.queue.client import WorkerQueue


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def worker_queue(server: fakeredis.FakeServer) -> WorkerQueue:
    redis = fakeredis.FakeRedis(server=server)
    redis.sadd(keys.WORKERS, keys.WORKER_PREFIX + "w1")  # as RQ registers it
    worker_queue = WorkerQueue(redis, "w1", lease_s=10, max_crashes=3)
    announce(worker_queue, INFO)
    return worker_queue


@pytest.fixture
async def queue(server: fakeredis.FakeServer, worker_queue: WorkerQueue) -> AsyncIterator[JobQueue]:
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(queue_limit=3))
    await queue.start()
    yield queue
    await queue.aclose()


@pytest.fixture
async def hurried(
    server: fakeredis.FakeServer, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[JobQueue]:
    """A queue whose callers wait a moment for a worker, and whose only worker has just died."""
    monkeypatch.setattr(watch, "LOOK_S", 0.02)
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(worker_wait_s=0.1, wait_s=60))
    await queue.start()
    announce(worker_queue, INFO, WRITER)
    worker_queue.leave()
    yield queue
    await queue.aclose()
