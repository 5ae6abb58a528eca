"""Defects that chaos runs brought to light, each in its smallest form."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.errors import ResultTimeout
from jobs.job import Lane, SubmitOptions
from jobs.machines.announcements import encode_model
from jobs.models import ModelInfo
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store import keys
from jobs.store.connection import connect_async
from jobs.store.redis_server import RedisServer
from tests.chaos.plan import MODEL
from tests.support.waiting import until, wait_until

JOB = EmbedJob(model=MODEL, inputs=("plain",))


@pytest.fixture
async def queue(redis_server: RedisServer, redis_client: redis.Redis):
    """A started queue client whose model is announced, though no worker runs."""
    info = ModelInfo(id=MODEL, task="embed", created=0, dimensions=4, max_tokens=100)
    redis_client.hset(keys.MODELS, MODEL, encode_model(info, time.time()))
    queue = JobQueue(connect_async(redis_server.url), Settings())
    await queue.start()
    yield queue
    await queue.aclose()


async def test_a_wait_that_times_out_on_a_busy_machine_raises_result_timeout(
    queue: JobQueue, monkeypatch: pytest.MonkeyPatch
):
    ticket = await queue.submit(JOB, SubmitOptions(lane=Lane.INTERACTIVE))
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def preempted(
        delay: float, callback: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> asyncio.TimerHandle:
        timer = call_later(delay, callback, *args, **kwargs)
        time.sleep(0.05)  # another process had the processor
        return timer

    monkeypatch.setattr(loop, "call_later", preempted)
    with pytest.raises(ResultTimeout):
        await queue.wait(ticket.id, 0.2)


async def test_an_interactive_job_that_nobody_waits_for_is_forgotten_when_it_ends(
    queue: JobQueue, redis_server: RedisServer
):
    ticket = await queue.submit(JOB, SubmitOptions(lane=Lane.INTERACTIVE))
    other = JobQueue(connect_async(redis_server.url), Settings())
    await other.cancel(ticket.id)
    await other.aclose()

    await until(lambda: not (queue._outcomes._waiting or queue._expected))


async def test_jobs_are_listed_although_one_record_is_no_hash(queue: JobQueue, redis_client: redis.Redis):
    ticket = await queue.submit(JOB, SubmitOptions())
    name = keys.queue_name("embed", MODEL, Lane.DEFAULT)
    redis_client.set(keys.job("broken"), "not a hash")
    redis_client.zadd(keys.registry("failed", name), {"broken": time.time() + 60})  # as CLAIM leaves it

    found = await queue.views(limit=10)

    assert [view.id for view in found.jobs] == [ticket.id]


@pytest.mark.kills_workers
@pytest.mark.parametrize("heartbeat_between", [False, True])
def test_a_worker_that_slept_past_its_record_is_seen_again(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path, *, heartbeat_between: bool
):
    pipe = ParentPipe()
    command = [
        sys.executable,
        "-m",
        "tests.chaos.worker_process",
        "--name",
        "sleeper",
        "--url",
        redis_server.url,
    ]
    command += ["--parent-fd", str(pipe.read_fd), "--folder", str(tmp_path), "--settings", '{"lease_s": 1}']
    with subprocess.Popen(command, pass_fds=(pipe.read_fd,), env=os.environ) as worker:
        try:
            wait_until(lambda: redis_client.keys(keys.worker("*")))
            # What Redis and any other worker's sweep, or `rq info`, do to a worker that slept too long:
            for key in redis_client.smembers(keys.WORKERS):
                redis_client.delete(key)
                redis_client.srem(keys.WORKERS, key)
                if heartbeat_between:  # it had just looked whether its record is there
                    redis_client.hset(key, "last_heartbeat", "2026-01-01T00:00:00.000000Z")

            wait_until(lambda: redis_client.smembers(keys.WORKERS))
            (key,) = redis_client.smembers(keys.WORKERS)  # pyright: ignore[reportGeneralTypeIssues]
            wait_until(lambda: redis_client.hexists(key, "birth"))
        finally:
            worker.kill()
    pipe.close()
