"""Queues at whose heads lie ids and records that we did not write."""

import fakeredis
import pytest

from jobs.client.queue import JobQueue
from jobs.job import SubmitOptions
from jobs.store import keys
from tests.support.queue_jobs import QUEUE, job
from workers.queue.client import WorkerQueue

NO_TEXT = b"\xff\xfe"


@pytest.mark.parametrize("field", [b"soon", b"nan", b""])
def test_a_limit_that_is_no_time_counts_as_none(
    worker_queue: WorkerQueue, server: fakeredis.FakeServer, field: bytes
):
    redis = fakeredis.FakeRedis(server=server)
    redis.rpush(keys.queue("embed:m:bulk"), NO_TEXT)
    redis.hset(keys.JOB_PREFIX.encode() + NO_TEXT, "mlxq_expires_at", field)
    assert worker_queue.time_left_s(["embed:m:bulk"]) == {}


def test_a_strange_head_hides_no_other_queues_limit(worker_queue: WorkerQueue, server: fakeredis.FakeServer):
    redis = fakeredis.FakeRedis(server=server)
    now, _ = redis.time()
    redis.rpush(keys.queue("embed:m:bulk"), "no-hash")
    redis.set(keys.job("no-hash"), "not a hash")
    redis.set(keys.queue("embed:m:interactive"), "not a list")
    redis.rpush(keys.queue(QUEUE), "good")
    redis.hset(keys.job("good"), "mlxq_expires_at", now + 60)
    left_s = worker_queue.time_left_s(["embed:m:bulk", "embed:m:interactive", QUEUE])
    assert left_s == {QUEUE: pytest.approx(60, abs=5)}


async def test_jobs_are_listed_beside_ids_that_are_no_text(queue: JobQueue, server: fakeredis.FakeServer):
    redis = fakeredis.FakeRedis(server=server)
    ticket = await queue.submit(job(), SubmitOptions())
    redis.rpush(keys.queue(QUEUE), NO_TEXT)
    redis.zadd(keys.registry("started", QUEUE), {NO_TEXT: 1})
    page = await queue.views(status=None, model=None, lane=None, limit=10, offset=0, after=None)
    assert [view.id for view in page.jobs] == [ticket.id]
    await queue.views(status="started", model=None, lane=None, limit=10, offset=0, after=None)
