"""Small requests beside large ones, and lower lanes beside steady chat: the whole worker and a real Redis."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import JobError
from jobs.generate import GenerateJob, Prompt
from jobs.job import Lane, SubmitOptions
from jobs.settings import Settings
from jobs.store.redis_server import RedisServer
from tests.support.fake_generator import FakeGenerator
from tests.support.fake_runner import FakeItem, FakeRunner, expected_vector
from tests.support.running_worker import (
    INTERACTIVE,
    ThreadWorker,
    has_status,
    open_queue,
    run,
    running_worker,
    vectors,
)
from tests.support.waiting import PATIENCE_S, until, until_async
from workers.loops import prepare

TEXTS = [f"text {n:04}" for n in range(2048)]
PLACES = 8
BUSY_CHAT = Settings(lease_s=1, batch_timeout_s=60, max_answers=PLACES, starvation_s=0.5)


@pytest.mark.parametrize("requests", [1, 10])
async def test_a_single_text_beside_large_requests_waits_for_two_batches_at_most(
    queue: JobQueue, worker: ThreadWorker, runner: FakeRunner, requests: int
):
    runner.gate.clear()
    large = [asyncio.create_task(run(queue, *TEXTS)) for _ in range(requests)]
    await until(lambda: len(runner.batches) == 1)
    waiting = 2048 * requests - len(runner.batches[0])
    await until(lambda: worker.items_ready == waiting)
    single = asyncio.create_task(run(queue, "single"))
    await until(lambda: worker.items_ready == waiting + 1)
    runner.gate.set()
    assert vectors(await single) == [expected_vector("single")]
    (at,) = [n for n, texts in enumerate(runner.batches) if "single" in texts]
    assert at <= 2  # alone it would be in the first, number 0
    for result in await asyncio.gather(*large):
        assert vectors(result) == [expected_vector(text) for text in TEXTS]


async def test_a_large_request_is_no_slower_for_what_it_lets_pass(
    queue: JobQueue, worker: ThreadWorker, runner: FakeRunner
):
    """Its batches are as full as without them."""
    await run(queue, *TEXTS)
    alone = len(runner.batches)
    runner.batches.clear()
    runner.gate.clear()
    large = asyncio.create_task(run(queue, *TEXTS))
    await until(lambda: worker.items_ready >= 2048 - 64)
    singles = [asyncio.create_task(run(queue, f"more {n:04}")) for n in range(20)]
    await until(lambda: worker.jobs_in_flight == 21)
    runner.gate.set()
    await asyncio.gather(large, *singles)
    assert len(runner.batches) <= alone + 2


async def test_short_texts_are_prepared_before_long_ones_and_long_ones_few_at_a_time(
    redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    class Noting(FakeRunner):
        """Notes the characters of the texts that it prepares together; the first time, it waits for `prepare_gate`."""

        def __init__(self) -> None:
            super().__init__()
            self.prepared: list[list[int]] = []

        def prepare(self, jobs: Sequence[EmbedJob]) -> Sequence[list[FakeItem] | JobError]:
            self.prepared.append([sum(map(len, each.inputs)) for each in jobs])  # pyright: ignore[reportArgumentType]
            self.prepare_gate.wait()
            return super().prepare(jobs)

    monkeypatch.setattr(prepare, "PATIENCE_S", PATIENCE_S)
    runner, long = Noting(), prepare.MAX_BYTES // 2
    with running_worker(redis_server.url, runner, release=runner.prepare_gate) as worker:
        async with open_queue(redis_server.url) as queue:
            first = asyncio.create_task(run(queue, "first"))
            await until(lambda: runner.prepared == [[5]])
            others = [asyncio.create_task(run(queue, "x" * long)) for _ in range(3)]
            await until(lambda: worker.jobs_in_flight == 4)
            others.append(asyncio.create_task(run(queue, "short!")))
            await until(lambda: worker.jobs_in_flight == 5)
            runner.prepare_gate.set()
            await asyncio.gather(first, *others)
    assert runner.prepared == [[5], [6, long, long], [long]]


async def test_a_small_result_is_written_before_large_ones_that_ended_with_it(
    redis_server: RedisServer, redis_client: redis.Redis
):
    class SlowToAssemble(FakeRunner):
        """Large results one by one, when `assemble_gate` lets them."""

        def __init__(self) -> None:
            super().__init__()
            self.assembled: list[int] = []
            self.assemble_gate = threading.Event()

        def assemble(
            self, job: EmbedJob, items: Sequence[FakeItem], outcomes: Sequence[bytes | JobError]
        ) -> EmbedResult:
            self.assembled.append(len(items))
            if len(items) > 1:
                self.assemble_gate.wait()
            return super().assemble(job, items, outcomes)

    runner = SlowToAssemble()
    with running_worker(redis_server.url, runner, release=runner.assemble_gate):
        async with open_queue(redis_server.url) as queue:
            first = asyncio.create_task(run(queue, *TEXTS[:100]))
            await until(lambda: runner.assembled == [100])
            others = [asyncio.create_task(run(queue, *TEXTS[:count])) for count in (200, 300)]
            await until(lambda: sum(map(len, runner.batches)) == 600)
            single = asyncio.create_task(run(queue, "single"))
            await until(lambda: ["single"] in runner.batches)
            runner.assemble_gate.set()
            await asyncio.gather(first, *others, single)
    assert runner.assembled[:2] == [100, 1]
    assert sorted(runner.assembled[2:]) == [200, 300]


def write(tokens: int, prompt: str = "chat", n: int = 1) -> GenerateJob:
    return GenerateJob(model="fake-chat", prompt=Prompt(prompt), max_tokens=tokens, n=n)


@asynccontextmanager
async def steady_chats(queue: JobQueue, count: int) -> AsyncIterator[None]:
    """So many callers who ask again as soon as they are answered. Their answers end one by one."""

    async def chat(tokens: int) -> None:
        while True:
            ticket = await queue.submit(write(tokens), INTERACTIVE)
            await queue.wait(ticket.id, PATIENCE_S)

    callers = [asyncio.create_task(chat(100 + 13 * n)) for n in range(count)]
    yield
    for caller in callers:
        caller.cancel()
    for caller in callers:
        with contextlib.suppress(asyncio.CancelledError):
            await caller


@pytest.mark.parametrize("lane", [Lane.DEFAULT, Lane.BULK])
@pytest.mark.parametrize("callers", [PLACES - 1, 3 * PLACES])
async def test_an_answer_of_a_lower_lane_is_written_beside_steady_chat(
    redis_server: RedisServer, redis_client: redis.Redis, lane: Lane, callers: int
):
    """A quarter of the places is for chat, and chat fills the others."""
    generator = FakeGenerator()
    generator.decoder.pause_s = 0.002
    with running_worker(redis_server.url, generator, BUSY_CHAT):
        async with open_queue(redis_server.url) as queue, steady_chats(queue, callers):
            await until(lambda: len(generator.decoder) >= PLACES - 1)
            ticket = await queue.submit(write(5, "bulk"), SubmitOptions(lane=lane, awaited=True))
            assert await queue.wait(ticket.id, PATIENCE_S)


async def test_a_chat_finds_a_place_beside_a_request_for_many_answers(
    redis_server: RedisServer, redis_client: redis.Redis
):
    generator = FakeGenerator()
    generator.decoder.pause_s = 0.001
    with running_worker(redis_server.url, generator, BUSY_CHAT):
        async with open_queue(redis_server.url) as queue:
            many = await queue.submit(write(2000, n=20), INTERACTIVE)
            await until(lambda: len(generator.decoder) == PLACES - 1)
            ticket = await queue.submit(write(5), INTERACTIVE)
            assert await queue.wait(ticket.id, PATIENCE_S)
            assert await has_status(queue, many.id, "started")
            assert await queue.cancel(many.id)
            await until_async(lambda: has_status(queue, many.id, "canceled"))
