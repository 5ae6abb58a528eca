"""What waits in a process until Redis takes it."""

import asyncio

import fakeredis
import pytest

from jobs.client import admit_batcher
from jobs.client.admit_batcher import AdmitBatcher
from jobs.errors import Overloaded
from jobs.job import SubmitOptions
from jobs.store import keys, record
from tests.support.queue_jobs import QUEUE, job
from tests.support.waiting import turns, within


class Stuck(fakeredis.FakeAsyncRedis):
    """Answers nothing until it is freed."""

    def __init__(self) -> None:
        super().__init__(server=fakeredis.FakeServer())
        self.freed = asyncio.Event()

    async def execute_command(self, *args: object, **options: object) -> object:
        await self.freed.wait()
        return await super().execute_command(*args, **options)


@pytest.fixture
def redis() -> Stuck:
    return Stuck()


@pytest.fixture
def batcher(redis: Stuck) -> AdmitBatcher:
    return AdmitBatcher(redis, max_jobs=1000, max_bytes=1 << 30, idempotency_ttl_s=60)


def args(number: int) -> list[str | bytes | int]:
    fields = record.encode(job(), SubmitOptions(), "")
    return [f"id{number}", QUEUE, "", "", "", 1, len(fields), *fields]


async def test_jobs_that_redis_does_not_take_are_bounded_by_count(
    redis: Stuck, batcher: AdmitBatcher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admit_batcher, "MOST_PENDING_JOBS", 3)
    pending = [asyncio.create_task(batcher.admit(args(number), 1)) for number in range(3)]
    await turns()
    with pytest.raises(Overloaded, match="3 jobs of 3 bytes wait for Redis"):
        await batcher.admit(args(3), 1)
    redis.freed.set()
    assert [verdict for verdict, _ in await within(asyncio.gather(*pending))] == ["created"] * 3
    assert await within(batcher.admit(args(3), 1)) == ("created", "id3")


async def test_jobs_that_redis_does_not_take_are_bounded_by_bytes(
    redis: Stuck, batcher: AdmitBatcher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admit_batcher, "MOST_PENDING_BYTES", 10)
    parts = {"mlxq_data_0": bytes(100)}  # more than the bound, but alone
    large = asyncio.create_task(batcher.admit_large(args(0), keys.job("id0"), parts))
    await turns()
    with pytest.raises(Overloaded, match="1 jobs of 100 bytes"):
        await batcher.admit(args(1), 1)
    large.cancel()
    await turns()
    redis.freed.set()
    assert await within(batcher.admit(args(1), 1)) == ("created", "id1")
