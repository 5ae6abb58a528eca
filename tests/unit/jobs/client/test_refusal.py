"""Work is refused while Redis' memory is nearly full."""

import fakeredis
import pytest

from jobs.client import refusal
from jobs.client.queue import JobQueue
from jobs.errors import Overloaded
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.stats import RedisMemory
from tests.support.queue_jobs import job
from workers.queue.client import WorkerQueue


class Measured(fakeredis.FakeAsyncRedis):
    """Says how full it is."""

    used_bytes = 0
    max_bytes = 1000
    asked = 0

    async def info(self, section: str | None = None, *_: str, **__: object) -> dict[str, int]:
        self.asked += 1
        return {"used_memory": self.used_bytes, "maxmemory": self.max_bytes}


@pytest.fixture
def redis(server: fakeredis.FakeServer) -> Measured:
    return Measured(server=server)


@pytest.fixture
def measured(redis: Measured, worker_queue: WorkerQueue) -> JobQueue:
    return JobQueue(redis, Settings())


async def test_no_more_work_is_taken_while_redis_is_nearly_full(
    redis: Measured, measured: JobQueue, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refusal, "FRESH_S", 0)
    redis.used_bytes = 899
    await measured.submit(job(), SubmitOptions())
    redis.used_bytes = 900
    with pytest.raises(Overloaded, match=r"900 of its 1000 bytes \(maxmemory\) are used") as caught:
        await measured.submit(job(), SubmitOptions())
    assert caught.value.retry_after_s == 60
    redis.used_bytes = 800
    await measured.submit(job(), SubmitOptions())


async def test_a_redis_without_a_bound_is_never_full(redis: Measured, measured: JobQueue):
    redis.used_bytes, redis.max_bytes = 10**12, 0
    await measured.submit(job(), SubmitOptions())
    assert (await measured.stats()).redis_memory == RedisMemory(used_bytes=10**12, max_bytes=None)


async def test_redis_is_asked_once_a_second(redis: Measured, measured: JobQueue):
    for _ in range(5):
        await measured.submit(job(), SubmitOptions())
    assert redis.asked == 1


async def test_a_redis_that_does_not_tell_gets_work(queue: JobQueue):
    await queue.submit(job(), SubmitOptions())  # fakeredis knows no INFO
    assert (await queue.stats()).redis_memory is None
