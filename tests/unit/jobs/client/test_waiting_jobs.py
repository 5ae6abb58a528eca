"""Jobs that wait: their places, what a canceled one leaves, and how many a queue takes."""

import fakeredis
import pytest

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.errors import Overloaded
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.store import keys, record
from tests.support.queue_jobs import QUEUE, claim_all, finish, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome, QueueCapacity

OPTIONS = SubmitOptions(retries=1)


@pytest.fixture
def redis(server: fakeredis.FakeServer) -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=server)


async def submit(queue: JobQueue, count: int) -> list[str]:
    return [(await queue.submit(job(), OPTIONS)).id for _ in range(count)]


async def positions(queue: JobQueue, ids: list[str]) -> list[int | None]:
    return [(await queue.view(job_id)).position for job_id in ids]


async def queued(queue: JobQueue) -> int:
    return (await queue.stats()).queues[0].queued


def enqueue_as_rq(redis: fakeredis.FakeRedis, job_id: str) -> None:
    """As RQ itself does it: without a number."""
    fields = record.encode(job(), SubmitOptions(), "")
    redis.hset(keys.job(job_id), mapping=dict(zip(fields[::2], fields[1::2], strict=True)))
    redis.rpush(keys.queue(QUEUE), job_id)
    redis.sadd(keys.QUEUES, keys.queue(QUEUE))


async def test_a_canceled_job_stays_in_the_list_and_counts_no_more(
    queue: JobQueue, redis: fakeredis.FakeRedis
):
    ids = await submit(queue, 3)  # all that the queue takes
    await queue.cancel(ids[1])
    assert redis.llen(keys.queue(QUEUE)) == 3
    assert await queued(queue) == 2
    await submit(queue, 1)
    with pytest.raises(Overloaded, match="3 jobs wait already"):
        await submit(queue, 1)


async def test_a_claim_passes_over_canceled_jobs_and_leaves_nothing_of_them(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    ids = await submit(queue, 3)
    await queue.cancel(ids[1])
    claims, _ = claim_all(worker_queue)
    assert [claim.id for claim in claims] == [ids[0], ids[2]]
    assert await queued(queue) == 0
    assert not redis.exists(keys.tombstones(QUEUE))


async def test_canceled_jobs_at_either_end_of_the_list_leave_it_with_those_beside_them(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    ids = await submit(queue, 3)
    await queue.cancel(ids[1])
    await queue.cancel(ids[0])
    assert redis.lrange(keys.queue(QUEUE), 0, -1) == [ids[2].encode()]
    ids += await submit(queue, 2)
    await queue.cancel(ids[3])
    await queue.cancel(ids[4])
    assert redis.lrange(keys.queue(QUEUE), 0, -1) == [ids[2].encode()]
    assert not redis.exists(keys.tombstones(QUEUE))


async def test_a_list_takes_twice_as_many_as_may_wait_with_canceled_ones_among_them(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    ids = await submit(queue, 3)
    for _ in range(3):  # one that waits behind each that is canceled
        await queue.cancel(ids[-2])
        ids += await submit(queue, 1)
    await queue.cancel(ids[-2])
    with pytest.raises(Overloaded, match="6 places are taken, by jobs that wait and by canceled ones"):
        await submit(queue, 1)
    assert redis.llen(keys.queue(QUEUE)) == 6
    claim_all(worker_queue)
    await submit(queue, 3)


async def test_a_queue_stays_bounded_by_bytes_when_canceled_jobs_come_to_its_head(
    server: fakeredis.FakeServer, worker_queue: WorkerQueue
):
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(queue_bytes=10_000))
    ids = await submit(queue, 13)
    await queue.submit(EmbedJob(model="m", inputs=("x" * 6000,)), OPTIONS)
    for job_id in ids[1:]:
        await queue.cancel(job_id)
    assert len(worker_queue.claim([QueueCapacity(QUEUE, 1 << 30, 1)], max_jobs=1).claims) == 1
    with pytest.raises(Overloaded, match="bytes"):
        await queue.submit(EmbedJob(model="m", inputs=("x" * 6000,)), OPTIONS)


async def test_suspects_wait_in_a_list_of_their_own_and_count(queue: JobQueue, redis: fakeredis.FakeRedis):
    ids = await submit(queue, 2)
    redis.lmove(keys.queue(QUEUE), keys.suspects(QUEUE), "LEFT", "RIGHT")  # as a worker's death leaves it
    assert await queued(queue) == 2
    await queue.cancel(ids[0])
    assert await queued(queue) == 1
    assert not redis.exists(keys.suspects(QUEUE), keys.tombstones(QUEUE))


async def test_a_job_that_is_canceled_twice_counts_once(queue: JobQueue, redis: fakeredis.FakeRedis):
    ids = await submit(queue, 2)
    assert await queue.cancel(ids[0])
    assert await queue.cancel(ids[0])
    assert await queued(queue) == 1


async def test_a_canceled_job_that_rq_puts_back_is_run_once(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    ids = await submit(queue, 3)
    await queue.cancel(ids[1])
    redis.hset(keys.job(ids[1]), "status", "queued")
    redis.rpush(keys.queue(QUEUE), ids[1])
    claims, _ = claim_all(worker_queue)
    assert [claim.id for claim in claims] == [ids[0], ids[2], ids[1]]
    assert claim_all(worker_queue)[0] == []


async def test_tombstones_of_a_list_that_others_emptied_are_forgotten(
    queue: JobQueue, redis: fakeredis.FakeRedis
):
    await queue.cancel((await submit(queue, 3))[1])
    redis.delete(keys.queue(QUEUE))  # rq empty
    await submit(queue, 3)
    assert await queued(queue) == 3


async def test_a_position_is_what_is_before_in_the_queue(queue: JobQueue, worker_queue: WorkerQueue):
    first, *others = await submit(queue, 3)
    assert await positions(queue, [first, *others]) == [0, 1, 2]
    await queue.cancel(first)
    assert await positions(queue, others) == [0, 1]


async def test_jobs_that_are_given_back_keep_their_places(queue: JobQueue, worker_queue: WorkerQueue):
    ids = await submit(queue, 2)
    claims, _ = claim_all(worker_queue)
    ids += await submit(queue, 1)
    assert await positions(queue, ids) == [None, None, 0]
    worker_queue.release(claims)
    assert await positions(queue, ids) == [0, 1, 2]


async def test_a_retried_job_goes_to_the_end(queue: JobQueue, worker_queue: WorkerQueue):
    ids = await submit(queue, 1)
    (claim,), _ = claim_all(worker_queue)
    ids += await submit(queue, 1)
    worker_queue.finish([Outcome(claim, "retry", 0)], 0)
    assert await positions(queue, ids) == [1, 0]


async def test_jobs_that_rq_enqueued_have_a_position_too(queue: JobQueue, redis: fakeredis.FakeRedis):
    enqueue_as_rq(redis, "rq-1")
    ids = await submit(queue, 1)
    enqueue_as_rq(redis, "rq-2")
    assert await positions(queue, ["rq-1", *ids, "rq-2"]) == [0, 0, 2]


GARBAGE = (
    "mlxq:admitted",
    "mlxq:admitted_bytes",
    keys.tombstones(QUEUE),
    keys.jobs(QUEUE),
    keys.idempotency("k"),
)


@pytest.mark.parametrize("state", ["scheduled", "deferred"])
async def test_a_registry_of_another_type_neither_stops_a_cancel_nor_loses_the_job(
    queue: JobQueue, redis: fakeredis.FakeRedis, state: str
):
    ids = await submit(queue, 3)
    redis.set(keys.registry(state, QUEUE), "garbage")
    assert await queue.cancel(ids[1])
    assert (await queue.view(ids[1])).status == "canceled"
    assert await queued(queue) == 2


@pytest.mark.parametrize("key", GARBAGE)
async def test_what_strangers_leave_under_our_keys_gives_way(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis, key: str
):
    redis.set(key, "garbage")
    first = await queue.submit(job(), SubmitOptions(idempotency_key="k"))
    second = await queue.submit(job(), OPTIONS)
    await queue.cancel(second.id)
    assert [view.id for view in (await queue.views(limit=9, status="canceled")).jobs] == [second.id]
    assert [claim.id for claim in claim_all(worker_queue)[0]] == [first.id]
    redis.set(key, "garbage")
    third = await queue.submit(job(), OPTIONS)
    worker_queue.sweep()
    redis.set(key, "garbage")
    assert await queue.cancel(third.id)


async def test_counters_that_are_no_numbers_begin_again(queue: JobQueue, redis: fakeredis.FakeRedis):
    redis.hset("mlxq:admitted", QUEUE, "many")
    redis.hset("mlxq:admitted_bytes", QUEUE, "much")
    assert await positions(queue, await submit(queue, 2)) == [0, 1]


async def test_a_queue_is_bounded_by_bytes(server: fakeredis.FakeServer, worker_queue: WorkerQueue):
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(queue_bytes=10_000))
    heavy = EmbedJob(model="m", inputs=("x" * 6000,))
    await queue.submit(heavy, OPTIONS)
    with pytest.raises(Overloaded, match=r"have 6\d\d\d bytes, and this queue takes 10000 bytes at most"):
        await queue.submit(heavy, OPTIONS)
    await submit(queue, 1)  # a small one has room
    claim_all(worker_queue)
    await queue.submit(heavy, OPTIONS)


async def test_a_job_above_the_bound_of_bytes_is_taken_alone(
    server: fakeredis.FakeServer, worker_queue: WorkerQueue
):
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(queue_bytes=10))
    await submit(queue, 1)
    with pytest.raises(Overloaded, match="bytes"):
        await submit(queue, 1)


async def test_an_old_job_that_is_given_back_does_not_make_its_queue_heavy(
    server: fakeredis.FakeServer, worker_queue: WorkerQueue
):
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(queue_bytes=2000))
    await submit(queue, 1)
    old, _ = claim_all(worker_queue)
    for _ in range(50):  # 4 kB
        await submit(queue, 1)
        for claim in claim_all(worker_queue)[0]:
            finish(worker_queue, claim)
    worker_queue.release(old)
    await submit(queue, 5)
