"""What is wrong with one queue, or with one job, and what ADMIT makes of the others that come with it."""

import asyncio
import logging

import fakeredis
import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.errors import InternalError
from jobs.job import Lane, SubmitOptions
from jobs.store import keys
from tests.support.queue_jobs import QUEUE, job
from workers.queue.client import WorkerQueue

OTHER = "embed:m:bulk"


@pytest.fixture
def client(server: fakeredis.FakeServer) -> redis.Redis:
    return fakeredis.FakeRedis(server=server)


async def test_a_queue_that_is_no_list_refuses_its_own_jobs_only(
    queue: JobQueue, client: redis.Redis, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.ERROR)
    client.set(keys.queue(OTHER), "no list")
    bulk = SubmitOptions(lane=Lane.BULK, idempotency_key="bulk")
    tickets = await asyncio.gather(
        queue.submit(job("a"), SubmitOptions(idempotency_key="a")),
        queue.submit(job("b"), bulk),
        queue.submit(job("c"), SubmitOptions()),
        return_exceptions=True,
    )
    good, strange = [tickets[0], tickets[2]], tickets[1]
    assert isinstance(strange, InternalError)
    ids = sorted(each.id.encode() for each in good)  # pyright: ignore
    assert sorted(client.lrange(keys.queue(QUEUE), 0, -1)) == ids
    assert sorted(client.keys("rq:job:*")) == [b"rq:job:" + each for each in ids]
    assert not client.exists(keys.idempotency("bulk"))
    assert client.get(keys.queue(OTHER)) == b"no list"
    assert [each.__dict__.get("key") for each in caplog.records] == [keys.queue(OTHER)]

    client.delete(keys.queue(OTHER))
    assert (await queue.submit(job("b"), bulk)).created


@pytest.mark.parametrize(
    "key", [keys.QUEUES, keys.jobs(QUEUE), keys.tombstones(QUEUE), "mlxq:admitted", "mlxq:admitted_bytes"]
)
async def test_bookkeeping_of_another_type_gives_way_to_a_submit(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, key: str
):
    client.set(key, "something else")
    ticket = await queue.submit(job(), SubmitOptions())
    assert client.lrange(keys.queue(QUEUE), 0, -1) == [ticket.id.encode()]
