"""API processes and workers of two versions on one Redis: nothing is lost, and nobody reads what it does not know."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.errors import UnreadableJob
from jobs.job import SubmitOptions
from jobs.store import keys
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.running_worker import (
    ThreadWorker,
    has_status,
    job,
    open_queue,
    run,
    vectors,
    worker_process,
)
from tests.support.waiting import PATIENCE_S, until, until_async, within

NEWER_API = Path(__file__).parents[2] / "support" / "versions" / "newer_api.py"


@asynccontextmanager
async def newer_api(url: str, text: str) -> AsyncIterator[asyncio.StreamReader]:
    """An API process of the next version that has a text embedded: what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(NEWER_API), url, text, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line_of(output: asyncio.StreamReader) -> str:
    return (await within(output.readline())).decode().strip()


@pytest.mark.kills_workers
async def test_a_newer_worker_does_the_jobs_of_an_older_api_process(
    redis_server: RedisServer, redis_client: redis.Redis
):
    with worker_process(redis_server.url, "newer"):
        async with open_queue(redis_server.url) as queue:
            assert vectors(await run(queue, "a text")) == [expected_vector("a text")]


@pytest.mark.kills_workers
async def test_an_older_worker_leaves_a_newer_job_to_a_newer_worker_and_goes_on_with_its_own_lanes(
    queue: JobQueue,
    worker: ThreadWorker,
    runner: FakeRunner,
    redis_server: RedisServer,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
):
    async with newer_api(redis_server.url, "of a later version") as output:
        job_id = await line_of(output)
        await until(lambda: "later version" in caplog.text)
        assert vectors(await run(queue, "beside")) == [expected_vector("beside")]
        behind = await queue.submit(job("behind"), SubmitOptions())  # in the same queue
        assert runner.batches == [["beside"]]
        assert redis_client.hget(keys.job(job_id), "status") == b"queued"
        with worker_process(redis_server.url, "newer"):
            assert await line_of(output) == expected_vector("of a later version").hex()
            await until_async(lambda: has_status(queue, behind.id, "finished"))
    assert redis_client.hget(keys.job(job_id), "worker_name") == b"newer"
    for ask in (queue.view, queue.cancel, queue.delete, lambda job_id: queue.wait(job_id, PATIENCE_S)):
        with pytest.raises(UnreadableJob, match="later version"):
            await ask(job_id)
