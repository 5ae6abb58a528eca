"""Several workers that serve the same models: who loads what, and who cannot."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.errors import ModelNotLoadable
from jobs.stats import WorkerStats
from jobs.store import keys
from jobs.store.connection import connect_async
from jobs.store.redis_server import RedisServer
from tests.integration.worker.test_models_on_demand import (
    BULK,
    SETTINGS,
    Broken,
    Embedder,
    Memory,
    embed,
    worker_of,
)
from tests.support.running_worker import INTERACTIVE, embedded
from tests.support.waiting import PATIENCE_S, until, until_async
from workers.models import model_cache
from workers.models.memory import refusals
from workers.queue.client import WorkerQueue
from workers.queue.fleet import STUCK_S
from workers.queue.worker_name import this_machine


class Gated(Embedder):
    """Its load lasts until the gate is open."""

    gate: threading.Event

    def load(self) -> Iterator[None]:
        while not self.gate.wait(0.01):
            yield
        yield from super().load()


class BrokenOnce(Embedder):
    tries = 0

    def load(self) -> Iterator[None]:
        self.tries += 1
        if self.tries == 1:
            raise RuntimeError("no such file")
        yield from super().load()


@pytest.fixture
async def queue(redis_server: RedisServer, redis_client: redis.Redis) -> AsyncIterator[JobQueue]:
    queue = JobQueue(connect_async(redis_server.url), SETTINGS)
    await queue.start()
    yield queue
    await queue.aclose()


def a_live_worker(redis_client: redis.Redis, *models: str) -> WorkerQueue:
    """Another worker that serves these, and has none of them in memory."""
    other = WorkerQueue(redis_client, "other", lease_s=60, max_crashes=3)
    redis_client.sadd(keys.WORKERS, keys.WORKER_PREFIX + "other")
    redis_client.set(keys.WORKER_PREFIX + "other", 1)  # RQ's record of it
    other.announce(WorkerStats(name="other", models=models, seen_at=0, jobs_in_hand=0, drain_rate={}), [])
    return other


def end(redis_client: redis.Redis, other: WorkerQueue) -> None:
    other.leave()
    redis_client.srem(keys.WORKERS, keys.WORKER_PREFIX + "other")
    redis_client.delete(keys.WORKER_PREFIX + "other", keys.loading("b"))


def note(redis_client: redis.Redis, worker: str, *, got_on_ago_s: float) -> None:
    """The worker has begun to load b, and got on last so long ago."""
    now, _ = redis_client.time()  # pyright: ignore[reportGeneralTypeIssues]
    redis_client.hset(keys.loading("b"), worker, f"{now - got_on_ago_s:.3f} {now - got_on_ago_s:.3f}")


async def test_of_five_workers_one_loads_the_model_of_one_request(
    redis_server: RedisServer, queue: JobQueue, redis_client: redis.Redis
):
    gate = threading.Event()
    memories = [Memory() for _ in range(5)]
    async with AsyncExitStack() as stack:
        workers = []
        for each in memories:
            late = Gated("b", each)
            late.gate = gate
            workers.append(
                await stack.enter_async_context(
                    worker_of(queue, redis_server.url, [Embedder("a", each), late], starvation_s=0.1)
                )
            )
        waiting = asyncio.create_task(embed(queue, "b", "hello"))
        await until(lambda: sum("b" in each._model_cache._fleet.loading for each in workers) == 4, PATIENCE_S)

        async def one_says_it() -> bool:  # at its next announcement
            return {each.loading for each in (await queue.stats()).workers} == {None, "b"}

        await until_async(one_says_it)
        gate.set()
        assert embedded(await waiting).vectors
        await until(lambda: not redis_client.exists(keys.loading("b")))
        for each in workers:  # all have looked at the others since
            seen = each._model_cache._fleet
            await until(lambda each=each, seen=seen: each._model_cache._fleet is not seen)
    notes = sorted(tuple(each.notes) for each in memories)
    assert notes == [("load a",)] * 4 + [("load a", "unload a", "load b")]


async def test_a_load_of_a_worker_that_died_is_waited_for_by_nobody_and_remembered(
    redis_server: RedisServer, queue: JobQueue, redis_client: redis.Redis
):
    memory = Memory()
    note(redis_client, "dead", got_on_ago_s=0)
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), Embedder("b", memory)]):
        assert embedded(await embed(queue, "b", "hello")).vectors
        await until(lambda: redis_client.hkeys(keys.loading("b")) == [b"dead"])
    redis_client.delete(keys.loading("b"))


async def test_a_load_that_gets_on_is_waited_for_and_one_that_is_stuck_is_not(
    redis_server: RedisServer, queue: JobQueue, redis_client: redis.Redis
):
    memory = Memory()
    other = a_live_worker(redis_client, "b")
    note(redis_client, "other", got_on_ago_s=0)
    runners = [Embedder("a", memory), Embedder("b", memory)]
    async with worker_of(queue, redis_server.url, runners, starvation_s=0.1) as worker:
        await until_async(queue.models)  # the other one has announced none
        waiting = asyncio.create_task(embed(queue, "b", "hello"))
        await until(lambda: "b" in worker._model_cache._loading_elsewhere)
        seen = worker._model_cache._fleet
        await until(lambda: worker._model_cache._fleet is not seen)
        assert memory.notes == ["load a"]
        note(redis_client, "other", got_on_ago_s=STUCK_S + 1)
        assert embedded(await waiting).vectors
    end(redis_client, other)


async def test_jobs_of_a_worker_that_cannot_load_their_model_are_left_to_one_that_can(
    redis_server: RedisServer, queue: JobQueue
):
    sound = Memory()
    async with (
        worker_of(queue, redis_server.url, [Embedder("a", Memory()), Broken("b", Memory())]) as broken,
        worker_of(queue, redis_server.url, [Embedder("a", sound), Embedder("b", sound)]),
    ):
        broken._model_cache.refuse(
            "b", "RuntimeError"
        )  # as after a failed load, whoever would have come first
        tickets = [await queue.submit(EmbedJob(model="b", inputs=(f"text {n}",)), BULK) for n in range(60)]
        results = await asyncio.gather(*(queue.wait(ticket.id, PATIENCE_S) for ticket in tickets))
        assert all(embedded(result).vectors for result in results)

        async def unloadable() -> list[tuple[str, str]]:
            workers = (await queue.stats()).workers  # as they announced themselves last
            return [(each.id, each.reason) for worker in workers for each in worker.unloadable]

        assert await until_async(unloadable) == [("b", "The model b cannot be loaded: RuntimeError.")]
    assert "load b" in sound.notes


async def test_a_worker_whose_load_fails_says_so_and_another_loads_it(
    redis_server: RedisServer, queue: JobQueue, caplog: pytest.LogCaptureFixture
):
    sound = Memory()
    async with worker_of(queue, redis_server.url, [Embedder("a", Memory()), Broken("b", Memory())]) as broken:
        other = a_live_worker(broken.connection, "b")  # able, as far as it says
        ticket = await queue.submit(EmbedJob(model="b", inputs=("hello",)), INTERACTIVE)
        await until(lambda: broken._model_cache.unloadable())
        seen = broken._model_cache._fleet
        await until(lambda: broken._model_cache._fleet is not seen)
        assert (await queue.view(ticket.id)).status == "queued"
        end(broken.connection, other)
        async with worker_of(queue, redis_server.url, [Embedder("b", sound)]):
            assert embedded(await queue.wait(ticket.id, PATIENCE_S)).vectors
    assert "a model is not served for a while" in caplog.text


async def test_jobs_fail_where_no_live_worker_can_load_their_model(
    redis_server: RedisServer, queue: JobQueue, redis_client: redis.Redis
):
    async with (
        worker_of(queue, redis_server.url, [Embedder("a", Memory()), Broken("b", Memory())]),
        worker_of(queue, redis_server.url, [Embedder("a", Memory()), Broken("b", Memory())]),
    ):
        with pytest.raises(ModelNotLoadable, match="b cannot be loaded"):
            await embed(queue, "b", "hello")
        assert embedded(await embed(queue, "a", "still here")).vectors


async def test_a_failed_load_is_tried_again_after_its_time(
    redis_server: RedisServer, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(refusals, "TRIED_AGAIN_S", 0.5)
    memory = Memory()
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), BrokenOnce("b", memory)]) as worker:
        ticket = await queue.submit(EmbedJob(model="b", inputs=("hello",)), INTERACTIVE)
        try:
            await queue.wait(ticket.id, PATIENCE_S)
        except ModelNotLoadable:
            await until(lambda: not worker._model_cache.unloadable())
            assert embedded(await embed(queue, "b", "again")).vectors
    assert memory.notes[-1] == "load b"


async def test_each_failed_load_in_a_row_is_waited_for_longer_up_to_ten_minutes():
    cache = model_cache.ModelCache({"b": Embedder("b", Memory())}, budget_bytes=10)
    waits = []
    for _ in range(6):
        cache.refuse("b", "no such file")
        refusal = cache._refusals._found["b"]
        waits.append(round(refusal.until - refusal.at))
    assert waits == [60, 120, 240, 480, 600, 600]


@pytest.mark.parametrize(("machine", "is_loaded"), [(this_machine(), False), ("weak", True)])
async def test_a_machine_that_dies_of_a_model_does_not_try_it_and_another_does(
    redis_server: RedisServer, queue: JobQueue, redis_client: redis.Redis, machine: str, *, is_loaded: bool
):
    memory = Memory()
    for number in range(2):
        note(redis_client, f"{machine}.{number}.token", got_on_ago_s=5)
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), Embedder("b", memory)]):
        if is_loaded:
            assert embedded(await embed(queue, "b", "hello")).vectors
        else:
            with pytest.raises(ModelNotLoadable, match="2 workers of this machine have died of it"):
                await embed(queue, "b", "hello")
        assert embedded(await embed(queue, "a", "still here")).vectors
    assert ("load b" in memory.notes) == is_loaded
    redis_client.delete(keys.loading("b"))
