"""Retries whose delay is over: PROMOTE puts them back, whatever strangers left in other queues."""

import fakeredis
import pytest

from jobs.client.queue import JobQueue
from jobs.job import SubmitOptions
from jobs.store import keys
from tests.support.queue_jobs import QUEUE, claim_all, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome

OTHER = "embed:m:bulk"


@pytest.fixture
def redis(server: fakeredis.FakeServer) -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=server)


async def due_retry(queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis) -> str:
    ticket = await queue.submit(job(), SubmitOptions(retries=1))
    (claim,), _ = claim_all(worker_queue)
    worker_queue.finish([Outcome(claim, "retry", 60)], 0)
    redis.zadd(keys.registry("scheduled", QUEUE), {ticket.id: 1})
    return ticket.id


async def test_a_registry_of_another_type_holds_up_no_other_queue(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    due = await due_retry(queue, worker_queue, redis)
    redis.set(keys.registry("scheduled", OTHER), "garbage")
    assert worker_queue.promote([OTHER, QUEUE]) == 1
    assert [claim.id for claim in claim_all(worker_queue)[0]] == [due]


async def test_a_retry_stays_due_while_its_queue_is_no_list(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    due = await due_retry(queue, worker_queue, redis)
    redis.set(keys.queue(QUEUE), "garbage")
    assert worker_queue.promote([QUEUE]) == 0
    assert redis.hget(keys.job(due), "status") == b"scheduled"
    redis.delete(keys.queue(QUEUE))
    assert worker_queue.promote([QUEUE]) == 1


async def test_an_entry_whose_record_is_no_hash_is_dropped(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    due = await due_retry(queue, worker_queue, redis)
    redis.set(keys.job("broken"), "garbage")
    redis.zadd(keys.registry("scheduled", QUEUE), {"broken": 0})
    assert worker_queue.promote([QUEUE]) == 1
    assert [claim.id for claim in claim_all(worker_queue)[0]] == [due]
