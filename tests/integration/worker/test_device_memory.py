"""A device with too little memory for full batches: their size is learned once, and kept."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.errors import JobError
from jobs.store.connection import connect_async
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeItem, FakeRunner, expected_vector
from tests.support.running_worker import (
    INTERACTIVE,
    SETTINGS,
    job,
    run,
    vectors,
    worker_process,
    working_queue,
)
from tests.support.waiting import PATIENCE_S, until
from workers.loops.batch_parts import padded_tokens


class SmallDevice(FakeRunner):
    """Has memory for so many padded tokens."""

    def __init__(self, memory: int) -> None:
        super().__init__()
        self.memory = memory
        self.failed: list[int] = []

    def run(self, items: Sequence[FakeItem]) -> Sequence[bytes | JobError]:
        if padded_tokens(items) > self.memory:
            self.failed.append(padded_tokens(items))
            raise RuntimeError("[malloc] Unable to allocate 1073741824 bytes.")
        return super().run(items)


async def test_the_size_of_batches_is_learned_at_the_first_request(
    redis_server: RedisServer, redis_client: redis.Redis
):
    runner = SmallDevice(memory=50)
    texts = [f"text {n:04}" for n in range(1024)]
    async with working_queue(redis_server.url, runner) as queue:
        assert vectors(await run(queue, *texts)) == [expected_vector(text) for text in texts]
        assert len(runner.failed) <= 4  # a batch may have 256 tokens: 256, 128, 64, not 32
        failed = len(runner.failed)
        for _ in range(2):
            await run(queue, *texts)
        assert len(runner.failed) - failed <= 1  # they grow a little, now and then
        assert await run(queue, "a text that takes most of the memory by itself")


async def test_an_input_that_the_memory_does_not_hold_fails_alone(
    redis_server: RedisServer, redis_client: redis.Redis
):
    async with working_queue(redis_server.url, SmallDevice(memory=50)) as queue:
        with pytest.raises(JobError, match="memory does not hold this input"):
            await run(queue, "x" * 51)
        assert vectors(await run(queue, "sound")) == [expected_vector("sound")]


@pytest.mark.kills_workers
async def test_a_worker_that_its_batch_killed_teaches_the_next_one(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
):
    texts = [f"text {n:04}" for n in range(64)]
    async with contextlib.AsyncExitStack() as stack:
        queue = JobQueue(connect_async(redis_server.url), SETTINGS)
        await queue.start()
        stack.push_async_callback(queue.aclose)
        with worker_process(redis_server.url, "hungry-0", str(tmp_path)) as first:
            await until(lambda: redis_client.hexists("mlxq:models", "fake"))
            ticket = await queue.submit(job(*texts), INTERACTIVE)
            await until(lambda: first.poll() is not None)
        with worker_process(redis_server.url, "hungry-1", str(tmp_path)) as second:
            await until(lambda: second.poll() is not None)
        with worker_process(redis_server.url, "hungry-2", str(tmp_path)) as third:
            assert vectors(await queue.wait(ticket.id, PATIENCE_S)) == [
                expected_vector(text) for text in texts
            ]
            assert third.poll() is None
            third.terminate()
            third.wait(PATIENCE_S)
