"""Jobs of megabytes: they lie in Redis in parts, hold nobody up, and leave nothing behind."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from typing import Any

import fakeredis
import pytest

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import IdempotencyConflict, InvalidInput, Overloaded, QueueUnavailable, UnreadableJob
from jobs.job import SubmitOptions
from jobs.models import ModelInfo
from jobs.settings import Settings
from jobs.stats import WorkerStats
from jobs.store import keys, record
from tests.support.waiting import within
from workers.queue.client import WorkerQueue
from workers.queue.execution import Claim, Outcome, QueueCapacity, failed

QUEUE = "embed:m:default"
TEXT = base64.b64encode(random.Random(1).randbytes(2 * record.PART_BYTES)).decode()
"""Is compressed to three quarters, so not at all."""

LARGE = EmbedJob(model="m", inputs=(TEXT, "y"))
SMALL = EmbedJob(model="m", inputs=("a",))
RESULT = EmbedResult(dimensions=1, vectors=b"\0\0\x80\x3f", tokens=(3,))


@pytest.fixture
def redis() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.fixture
def worker_queue(redis: fakeredis.FakeRedis) -> WorkerQueue:
    made = WorkerQueue(redis, "w1", lease_s=10, max_crashes=3)
    stats = WorkerStats(name="w1", models=("m",), seen_at=4e9, jobs_in_hand=0, drain_rate={QUEUE: 2.0})
    made.announce(stats, [ModelInfo(id="m", task="embed", created=1, dimensions=1, max_tokens=512)])
    return made


@pytest.fixture
async def queue(redis: fakeredis.FakeRedis, worker_queue: WorkerQueue) -> AsyncIterator[JobQueue]:
    server = redis.connection_pool.connection_kwargs["server"]
    made = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(queue_limit=1))
    await made.start()
    yield made
    await made.aclose()


def claimed(worker_queue: WorkerQueue) -> Claim:
    [claim] = worker_queue.claim([QueueCapacity(QUEUE, 1 << 30, 10)], max_jobs=10, suspect=False).claims
    return claim


def data_fields(redis: fakeredis.FakeRedis, job_id: str) -> list[bytes]:
    return [name for name in redis.hkeys(keys.job(job_id)) if name.startswith(b"mlxq_data")]  # pyright: ignore


async def test_a_large_job_is_claimed_without_its_data_and_read_in_parts(
    queue: JobQueue, worker_queue: WorkerQueue
):
    await queue.submit(LARGE, SubmitOptions())
    claim = claimed(worker_queue)
    assert (claim.data, claim.parts) == (None, 3)
    assert record.decode_job(worker_queue.data(claim)) == LARGE


async def test_a_text_that_compresses_well_is_compressed(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    job = EmbedJob(model="m", inputs=("some words " * record.PART_BYTES,))
    ticket = await queue.submit(job, SubmitOptions())
    assert data_fields(redis, ticket.id) == [b"mlxq_data_0"]
    assert record.decode_job(worker_queue.data(claimed(worker_queue))) == job


async def test_a_job_of_one_part_is_read_by_itself_when_it_is_too_large_for_a_claim(
    queue: JobQueue, worker_queue: WorkerQueue
):
    job = EmbedJob(model="m", inputs=("x" * 100_000,))
    await queue.submit(job, SubmitOptions())
    claim = claimed(worker_queue)
    assert (claim.data, claim.parts) == (None, 0)
    assert record.decode_job(worker_queue.data(claim)) == job


@pytest.mark.parametrize("end", ["finished", "failed", "canceled"])
async def test_the_parts_go_when_the_job_ends(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis, end: str
):
    ticket = await queue.submit(LARGE, SubmitOptions())
    claim = claimed(worker_queue)
    assert len(data_fields(redis, ticket.id)) == 3
    if end == "canceled":
        await queue.cancel(ticket.id)
    elif end == "failed":
        worker_queue.finish([failed(claim, InvalidInput("no").failure())], 0.1)
    else:
        worker_queue.finish([Outcome(claim, "finished", 60, worker_queue.store(claim, RESULT))], 0.1)
    assert not data_fields(redis, ticket.id)
    assert (await queue.view(ticket.id)).status == end


async def test_a_large_job_that_is_given_back_keeps_its_parts(queue: JobQueue, worker_queue: WorkerQueue):
    await queue.submit(LARGE, SubmitOptions())
    worker_queue.release([claimed(worker_queue)])
    assert record.decode_job(worker_queue.data(claimed(worker_queue))) == LARGE


async def test_a_job_that_lost_a_part_is_unreadable(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    ticket = await queue.submit(LARGE, SubmitOptions())
    redis.hdel(keys.job(ticket.id), "mlxq_data_1")
    with pytest.raises(UnreadableJob):
        record.decode_job(worker_queue.data(claimed(worker_queue)))


async def test_a_compressed_job_that_was_cut_short_is_unreadable(queue: JobQueue, worker_queue: WorkerQueue):
    await queue.submit(EmbedJob(model="m", inputs=("some words " * record.PART_BYTES,)), SubmitOptions())
    data = worker_queue.data(claimed(worker_queue))
    assert data is not None
    with pytest.raises(UnreadableJob):
        record.decode_job(data[:-10])


async def test_a_large_job_that_is_not_taken_leaves_nothing(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    keyed = SubmitOptions(idempotency_key="once")
    first = await queue.submit(LARGE, keyed)
    with pytest.raises(Overloaded):
        await queue.submit(LARGE, SubmitOptions())
    assert await queue.submit(LARGE, keyed) == first.__class__(id=first.id, created=False)
    other = EmbedJob(model="m", inputs=(*LARGE.inputs, "z"))
    with pytest.raises(IdempotencyConflict):
        await queue.submit(other, keyed)
    assert redis.keys("rq:job:*") == [keys.job(first.id).encode()]
    assert redis.ttl(keys.job(first.id)) == -1


async def test_a_large_job_whose_api_process_dies_goes_by_itself(
    queue: JobQueue, redis: fakeredis.FakeRedis, monkeypatch: pytest.MonkeyPatch
):
    async def never(_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(queue._admit_batcher, "_send", never)
    with pytest.raises(asyncio.CancelledError):
        await queue.submit(LARGE, SubmitOptions())
    [key] = redis.keys("rq:job:*")
    assert 0 < redis.ttl(key) <= 60
    assert not redis.exists(keys.queue(QUEUE))


async def test_a_large_job_on_its_way_holds_up_no_other(queue: JobQueue):
    async with queue._admit_batcher._alone:  # as while another large one is on its way
        large = asyncio.create_task(queue.submit(LARGE, SubmitOptions()))
        await within(queue.submit(SMALL, SubmitOptions()))
        assert not large.done()
    with pytest.raises(Overloaded):
        await within(large)


@pytest.mark.parametrize(("losses", "is_taken"), [(1, True), (100, False)])
async def test_a_large_job_is_not_acknowledged_without_its_parts(
    queue: JobQueue,
    worker_queue: WorkerQueue,
    redis: fakeredis.FakeRedis,
    monkeypatch: pytest.MonkeyPatch,
    losses: int,
    is_taken: bool,
):
    send = queue._admit_batcher._send
    left = iter(range(losses))

    async def after_a_failover(batch: Any) -> None:
        if next(left, None) is not None:
            [key] = redis.keys("rq:job:*")
            redis.hdel(key, "mlxq_data_1")
        await send(batch)

    monkeypatch.setattr(queue._admit_batcher, "_send", after_a_failover)
    if is_taken:
        await queue.submit(LARGE, SubmitOptions())
        assert record.decode_job(worker_queue.data(claimed(worker_queue))) == LARGE
        return
    with pytest.raises(QueueUnavailable, match="has lost parts of the job"):
        await queue.submit(LARGE, SubmitOptions())
    assert not redis.keys("rq:job:*")
    assert not redis.exists(keys.queue(QUEUE))
