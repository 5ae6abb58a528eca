"""Preparing jobs beside each other: one whose text takes for ever holds up nobody, and fails alone."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import redis

from jobs.answer_format import JsonFormat
from jobs.client.queue import JobQueue
from jobs.content import TextPart
from jobs.embed import EmbedJob
from jobs.errors import TimeLimitExceeded
from jobs.generate import Chat, GenerateJob, GenerateResult, Message, Prompt, Tool
from jobs.job import Lane, SubmitOptions, Ticket
from jobs.process.processor import NICE
from jobs.settings import Settings
from jobs.store import keys
from jobs.store.connection import connect, connect_async
from jobs.store.redis_server import RedisServer
from tests.support.fake_generator import FakeGenerator
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.running_worker import (
    INTERACTIVE,
    LIMITS,
    SETTINGS,
    ThreadWorker,
    has_status,
    job,
    open_queue,
    run,
    running_worker,
    started,
    vectors,
    worker_process,
)
from tests.support.waiting import PATIENCE_S, until, until_async
from workers.loops import prepare
from workers.models.model_cache import preloaded
from workers.queue.client import WorkerQueue
from workers.queue.execution import Claim
from workers.worker import HUNG

SHORT = Settings(lease_s=1, sweep_s=0.5, batch_timeout_s=3)
FEW_ANSWERS = Settings(lease_s=1, sweep_s=0.5, batch_timeout_s=60, max_answers=2)
HANGS = "hang in prepare"
BULK = SubmitOptions(lane=Lane.BULK)
LARGE = "x" * 100_000
"""More than a claim brings along."""


@pytest.fixture
async def runner() -> AsyncIterator[FakeRunner]:
    made = FakeRunner()
    yield made
    made.prepare_gate.set()  # its threads end with the test


@asynccontextmanager
async def open_queue_of(url: str) -> AsyncIterator[JobQueue]:
    """A client, whether there is a worker or not."""
    queue = JobQueue(connect_async(url), SETTINGS)
    await queue.start()
    yield queue
    await queue.aclose()


async def submit(queue: JobQueue, *texts: str) -> Ticket:
    return await queue.submit(job(*texts), INTERACTIVE)


async def claimed_together(client: redis.Redis, queue: JobQueue, *texts: str) -> list[Ticket]:
    """One job each, which wait in the queue until all are there."""
    client.set(keys.SUSPENDED, 1)
    await until(
        lambda: b"suspended" in [client.hget(each, "state") for each in client.smembers(keys.WORKERS)]
    )  # pyright: ignore
    tickets = [await submit(queue, text) for text in texts]
    client.delete(keys.SUSPENDED)
    return tickets


async def test_a_job_that_hangs_in_its_tokeniser_holds_up_no_other(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    with running_worker(redis_server.url, runner):
        async with open_queue(redis_server.url) as queue:
            hanging = await submit(queue, HANGS)
            await until_async(lambda: has_status(queue, hanging.id, "started"))
            for text in ("a", "b", LARGE):
                assert vectors(await run(queue, text)) == [expected_vector(text)]
            runner.prepare_gate.set()
            assert vectors(await queue.wait(hanging.id, PATIENCE_S)) == [expected_vector(HANGS)]


async def test_jobs_that_are_prepared_together_with_one_that_hangs_go_on(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    with running_worker(redis_server.url, runner):
        async with open_queue(redis_server.url) as queue:
            texts = ["a", HANGS, "b", LARGE, "c"]
            tickets = await claimed_together(redis_client, queue, *texts)
            for n in (0, 2, 3, 4):
                assert vectors(await queue.wait(tickets[n].id, PATIENCE_S)) == [expected_vector(texts[n])]
            assert (await queue.view(tickets[1].id)).status == "started"
            runner.prepare_gate.set()
            assert vectors(await queue.wait(tickets[1].id, PATIENCE_S)) == [expected_vector(HANGS)]


async def test_a_job_that_cannot_be_prepared_in_time_fails_alone_and_at_once(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    with running_worker(redis_server.url, runner, SHORT):
        async with open_queue(redis_server.url) as queue:
            hanging, large = await submit(queue, HANGS), await submit(queue, HANGS, LARGE)
            for ticket in (hanging, large):
                with pytest.raises(TimeLimitExceeded):
                    await queue.wait(ticket.id, PATIENCE_S)
                assert (await queue.view(ticket.id)).attempts == 1
            assert vectors(await run(queue, "next")) == [expected_vector("next")]


async def test_a_hanging_job_can_be_canceled(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    with running_worker(redis_server.url, runner) as worker:
        async with open_queue(redis_server.url) as queue:
            hanging = await submit(queue, HANGS)
            await until_async(lambda: has_status(queue, hanging.id, "started"))
            assert await queue.cancel(hanging.id)
            await until(lambda: not len(worker._in_flight))
            runner.prepare_gate.set()
            assert vectors(await run(queue, "next")) == [expected_vector("next")]
            assert (await queue.view(hanging.id)).status == "canceled"
            assert all(HANGS not in batch for batch in runner.batches)


async def test_a_worker_that_stops_gives_a_hanging_job_back(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    async with open_queue_of(redis_server.url) as queue:
        with running_worker(redis_server.url, runner):
            await until_async(queue.ready)
            hanging = await submit(queue, HANGS)
            await until_async(lambda: has_status(queue, hanging.id, "started"))
        assert (await queue.view(hanging.id)).status == "queued"
        assert redis_client.hget(keys.job(hanging.id), "mlxq_crashes") is None


@pytest.mark.kills_workers
async def test_a_worker_with_too_many_hanging_jobs_is_started_anew_and_no_running_job_is_blamed(
    redis_server: RedisServer, redis_client: redis.Redis
):
    async with open_queue_of(redis_server.url) as queue:
        with worker_process(redis_server.url, "hanging") as process:
            await until_async(queue.ready)
            texts = ["a"] * (LIMITS.items * 200)  # forty seconds of batches that take a fifth of one
            hanging = [await submit(queue, HANGS, LARGE) for _ in range(prepare.MAX_STUCK)]
            running = await submit(queue, *texts)
            await until_async(lambda: has_status(queue, running.id, "started"))
            assert await asyncio.to_thread(process.wait, PATIENCE_S) == HUNG
        for ticket in hanging:
            with pytest.raises(TimeLimitExceeded):
                await queue.wait(ticket.id, PATIENCE_S)
        assert redis_client.hget(keys.job(running.id), "mlxq_crashes") is None
        assert (await queue.view(running.id)).status == "queued"
        with running_worker(redis_server.url, FakeRunner()):
            assert vectors(await queue.wait(running.id, PATIENCE_S)) == [expected_vector("a")] * len(texts)


async def test_jobs_over_their_own_short_limits_do_not_end_the_worker(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
):
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    with running_worker(redis_server.url, runner) as worker:
        async with open_queue(redis_server.url) as queue:
            most, hanging = prepare.SLOW_THREADS + prepare.MAX_OVERDUE, list[Ticket]()
            calls = worker._prepare_pool._calls
            for number, lane in enumerate((Lane.BULK, Lane.INTERACTIVE), 1):
                options = SubmitOptions(lane=lane, time_limit_s=1)
                hanging += [await queue.submit(job(HANGS, LARGE), options) for _ in range(most)]
                await until(lambda count=number * most: len(calls) == count)
            assert len(hanging) >= prepare.MAX_STUCK
            for ticket in hanging:
                with pytest.raises(TimeLimitExceeded):
                    await queue.wait(ticket.id, PATIENCE_S)
            assert not worker._prepare_pool.is_stuck
            assert vectors(await run(queue, "next")) == [expected_vector("next")]
    assert exits == []


async def test_capacity_is_free_again_after_jobs_that_could_not_be_prepared(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    with running_worker(redis_server.url, runner, SHORT) as worker:
        async with open_queue(redis_server.url) as queue:
            before = worker._in_flight.capacity("fake")
            for texts in (
                (HANGS,),
                (HANGS, LARGE),
                ("invalid",),
                ("invalid", LARGE),
                ("unpreparable", LARGE),
            ):
                with pytest.raises(Exception):  # noqa: B017, PT011  # each for its own reason
                    await queue.wait((await submit(queue, *texts)).id, PATIENCE_S)
            await until(lambda: not len(worker._in_flight))
            runner.prepare_gate.set()
            assert worker._in_flight.capacity("fake") == before


CALLED = Chat((Message("user", (TextPart("held"),)),), tools=(Tool("f", strict=True),))


async def test_large_jobs_that_take_long_hold_up_no_other_of_their_lane(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    with running_worker(redis_server.url, runner):
        async with open_queue(redis_server.url) as queue:
            slow = [await submit(queue, HANGS, LARGE) for _ in range(prepare.SLOW_THREADS)]
            assert vectors(await run(queue, LARGE)) == [expected_vector(LARGE)]
            runner.prepare_gate.set()
            for ticket in slow:
                assert len(vectors(await queue.wait(ticket.id, PATIENCE_S))) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
async def test_large_jobs_are_prepared_at_a_lower_priority_than_small_ones(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    with running_worker(redis_server.url, runner) as worker:
        async with open_queue(redis_server.url) as queue:
            tickets = [await submit(queue, HANGS, LARGE), await submit(queue, HANGS)]
            await until(lambda: len(worker._prepare_pool._calls) == 2)
            await until(lambda: set(map(nice_of, preparing_threads())) == {0, NICE})
            assert nice_of(threading.main_thread()) == 0
            runner.prepare_gate.set()
            for ticket in tickets:
                assert vectors(await queue.wait(ticket.id, PATIENCE_S))


def preparing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prepare"]


def nice_of(thread: threading.Thread) -> int:
    return os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)


async def test_no_number_of_large_jobs_in_lower_lanes_holds_up_a_higher_one(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    most = prepare.SLOW_THREADS + prepare.MAX_OVERDUE
    with running_worker(redis_server.url, runner) as worker:
        async with open_queue(redis_server.url) as queue:
            bulk = [await queue.submit(job(HANGS, LARGE), BULK) for _ in range(most + 2)]
            await until(lambda: len(worker._prepare_pool._calls) == most)
            assert vectors(await run(queue, LARGE)) == [expected_vector(LARGE)]
            worker._prepare_pool.look_after()
            assert len(worker._prepare_pool._calls) == most
            runner.prepare_gate.set()
            for ticket in bulk:
                assert len(vectors(await queue.wait(ticket.id, PATIENCE_S))) == 2


async def test_a_canceled_large_job_holds_up_no_other(
    redis_server: RedisServer,
    redis_client: redis.Redis,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(prepare, "PATIENCE_S", 3600)
    with running_worker(redis_server.url, runner) as worker:
        async with open_queue(redis_server.url) as queue:
            slow = [await submit(queue, HANGS, LARGE) for _ in range(prepare.SLOW_THREADS)]
            await until(lambda: len(worker._prepare_pool._calls) == len(slow))
            for ticket in slow:
                await queue.cancel(ticket.id)
            assert vectors(await run(queue, LARGE)) == [expected_vector(LARGE)]


async def test_the_texts_of_a_large_job_are_not_kept_once_it_is_prepared(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    runner.gate.clear()
    with running_worker(redis_server.url, runner, release=runner.gate) as worker:
        async with open_queue(redis_server.url) as queue:
            ticket = await submit(queue, LARGE, "b")
            await until(lambda: runner.batches)
            (active,) = worker._in_flight.jobs()
            assert active.prepared is not None
            assert active.prepared.job == EmbedJob(model="fake", inputs=())
            runner.gate.set()
            assert vectors(await queue.wait(ticket.id, PATIENCE_S)) == [
                expected_vector(LARGE),
                expected_vector("b"),
            ]


async def test_waiting_for_redis_is_no_part_of_a_large_jobs_time(
    redis_server: RedisServer,
    redis_client: redis.Redis,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
):
    limit_s = 3
    away, read = threading.Event(), WorkerQueue.data

    def data(queue: WorkerQueue, claim: Claim) -> bytes | None:
        if away.is_set():
            raise redis.ConnectionError("away")
        return read(queue, claim)

    away.set()
    monkeypatch.setattr(WorkerQueue, "data", data)
    with running_worker(redis_server.url, runner):
        async with open_queue(redis_server.url) as queue:
            options = SubmitOptions(lane=Lane.INTERACTIVE, time_limit_s=limit_s)
            ticket = await queue.submit(job(LARGE), options)
            await until_async(lambda: has_status(queue, ticket.id, "started"))
            await asyncio.sleep(limit_s + 0.5)  # longer than the job may take
            away.clear()
            assert vectors(await queue.wait(ticket.id, PATIENCE_S)) == [expected_vector(LARGE)]


@pytest.mark.parametrize(
    "constrained_by",
    [
        {"prompt": Prompt("held"), "format": JsonFormat()},
        {"prompt": CALLED},
        {"prompt": msgspec.structs.replace(CALLED, tools=(Tool("f"),), tool_choice="required")},
    ],
    ids=["format", "strict tool", "required call"],
)
async def test_an_answer_whose_grammar_takes_long_holds_up_no_other(
    redis_server: RedisServer, redis_client: redis.Redis, constrained_by: dict[str, Any]
):
    generator = SlowGrammars()
    model = generator.info.id
    worker = ThreadWorker(
        connect(redis_server.url), preloaded({model: generator}), {}, FEW_ANSWERS, lambda work: work()
    )
    with started(worker):
        async with open_queue(redis_server.url) as queue:
            held = GenerateJob(model=model, **constrained_by)
            constrained = [await queue.submit(held, INTERACTIVE) for _ in range(prepare.SLOW_THREADS + 1)]
            for n in range(3):
                ticket = await queue.submit(GenerateJob(model=model, prompt=Prompt(f"free {n}")), INTERACTIVE)
                assert isinstance(await queue.wait(ticket.id, PATIENCE_S), GenerateResult)
            generator.compiled.set()
            for ticket in constrained:
                await queue.wait(ticket.id, PATIENCE_S)


async def test_large_jobs_take_no_room_that_others_need(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
):
    with running_worker(redis_server.url, runner) as worker:
        async with open_queue(redis_server.url) as queue:
            texts = [HANGS, "x" * (100 * LIMITS.tokens * 4)]
            hanging = [await submit(queue, *texts) for _ in range(prepare.SLOW_THREADS + 2)]
            await until(lambda: len(worker._in_flight) == len(hanging))
            assert vectors(await run(queue, "small")) == [expected_vector("small")]
            for ticket in hanging:
                await queue.cancel(ticket.id)


class SlowGrammars(FakeGenerator):
    """A grammar is compiled once the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.compiled = threading.Event()

    def _prepare(self, job: GenerateJob):
        if job.format is not None or isinstance(job.prompt, Chat):
            self.compiled.wait()
        return super()._prepare(job)
