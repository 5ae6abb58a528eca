"""Several workers of one model: each takes its part of what waits."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.generate import GenerateJob, Prompt
from jobs.job import Lane, SubmitOptions
from jobs.settings import Settings
from jobs.store import keys
from jobs.store.redis_server import RedisServer
from tests.support.fake_generator import FakeGenerator
from tests.support.fake_runner import FakeRunner
from tests.support.running_worker import INTERACTIVE, ThreadWorker, open_queue, run, running_worker
from tests.support.waiting import PATIENCE_S, until
from workers.loops import claim

SETTINGS = Settings(lease_s=10, batch_timeout_s=60, max_answers=64)
Runner = FakeRunner | FakeGenerator


def gate_of(runner: Runner) -> asyncio.Event:
    return (runner if isinstance(runner, FakeRunner) else runner.decoder).gate  # pyright: ignore[reportReturnType]


@asynccontextmanager
async def fleet(url: str, runners: Sequence[Runner]) -> AsyncIterator[tuple[JobQueue, list[ThreadWorker]]]:
    """A worker for each runner; each knows of all the others."""
    async with contextlib.AsyncExitStack() as stack:
        workers = [stack.enter_context(running_worker(url, runner, SETTINGS)) for runner in runners]
        queue = await stack.enter_async_context(open_queue(url))
        model = runners[0].info.id
        await until(lambda: all(each._model_cache.workers(model) == len(runners) for each in workers))
        try:
            yield queue, workers
        finally:
            for runner in runners:
                gate_of(runner).set()


async def test_a_burst_is_spread_over_ten_workers(
    redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    """Each could take all of it. None ends a job before all are taken."""
    monkeypatch.setattr(claim, "LEFT_S", PATIENCE_S)
    runners = [FakeRunner() for _ in range(10)]
    for runner in runners:
        runner.gate.clear()
    async with fleet(redis_server.url, runners) as (queue, workers):
        burst = [queue.submit(EmbedJob(model="fake", inputs=("x",)), SubmitOptions()) for _ in range(1000)]
        tickets = await asyncio.gather(*burst)
        await until(lambda: sum(each.jobs_in_flight for each in workers) == 1000)
        assert max(each.jobs_in_flight for each in workers) <= 150
        for runner in runners:
            runner.gate.set()
        for ticket in tickets:
            assert await queue.wait(ticket.id, PATIENCE_S)
        done_by = Counter(redis_client.hget(keys.job(ticket.id), "worker_name") for ticket in tickets)
        assert max(done_by.values()) <= 150


async def test_chats_are_spread_over_idle_workers(
    redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(claim, "LEFT_S", PATIENCE_S)
    runners = [FakeGenerator() for _ in range(4)]
    for runner in runners:
        runner.decoder.pause_s = 0.01
    async with fleet(redis_server.url, runners) as (queue, workers):
        chat = GenerateJob(model="fake-chat", prompt=Prompt("hello"), max_tokens=100_000)
        tickets = await asyncio.gather(*[queue.submit(chat, INTERACTIVE) for _ in range(64)])
        await until(lambda: sum(each.jobs_in_flight for each in workers) == 64)
        assert [each.jobs_in_flight for each in workers] == [16] * 4
        for ticket in tickets:
            await queue.cancel(ticket.id)
        await until(lambda: sum(each.jobs_in_flight for each in workers) == 0)


async def test_what_another_worker_does_not_take_is_left_to_it_for_a_moment_only(
    redis_server: RedisServer, redis_client: redis.Redis
):
    """The second worker is there, and never claims."""
    runners = [FakeRunner(), FakeRunner()]
    async with fleet(redis_server.url, runners) as (queue, (_, idle)):
        idle._claim_loop.stop()
        runners[0].gate.clear()
        blocked = [asyncio.create_task(run(queue, f"{n}")) for n in range(20)]
        await until(lambda: redis_client.llen(keys.queue(f"embed:fake:{Lane.INTERACTIVE}")) == 0)
        runners[0].gate.set()
        await asyncio.gather(*blocked)


async def test_a_worker_with_its_part_asks_redis_no_more_often_than_others(
    redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(claim, "LEFT_S", PATIENCE_S)
    runners = [FakeRunner(), FakeRunner()]
    async with fleet(redis_server.url, runners) as (queue, (first, idle)):
        idle._claim_loop.stop()
        runners[0].gate.clear()
        waiting = [asyncio.create_task(run(queue, f"{n}")) for n in range(20)]
        await until(lambda: first.jobs_in_flight == 10)
        before = redis_client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
        await asyncio.sleep(1)
        calls = redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] - before
        assert calls < 2 / claim.ASK_AGAIN_S
        monkeypatch.setattr(claim, "LEFT_S", 0.1)
        runners[0].gate.set()
        await asyncio.gather(*waiting)
