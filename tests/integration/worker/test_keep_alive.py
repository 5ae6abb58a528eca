"""How long models stay in memory, and how they leave it when told to, with a real Redis."""

import asyncio
import time

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob, EmbedResult
from jobs.generate import GenerateJob, Prompt
from jobs.store.redis_server import RedisServer
from tests.integration.worker.test_models_on_demand import (
    Embedder,
    Memory,
    Writer,
    embed,
    memory,
    queue,
    worker_of,
    write,
)
from tests.support.running_worker import INTERACTIVE
from tests.support.waiting import PATIENCE_S, until, until_async

__all__ = ["memory", "queue"]


async def load(queue: JobQueue, model: str, keep_alive_s: float | None = None) -> float:
    """Only that, as a request without a text does. How long it waited for it."""
    ticket = await queue.submit(EmbedJob(model=model, inputs=(), keep_alive_s=keep_alive_s), INTERACTIVE)
    result = await queue.wait(ticket.id, PATIENCE_S)
    assert isinstance(result, EmbedResult)
    assert (result.vectors, result.tokens) == (b"", ())
    return result.load_s


async def test_keep_alive_decides_when_a_model_leaves(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    runners = [Writer("w", memory), Embedder("e", memory)]
    async with worker_of(queue, redis_server.url, runners, budget_bytes=20):
        assert memory.notes == ["load w", "load e"]
        for job in (
            GenerateJob(model="w", prompt=Prompt("hi"), max_tokens=2, keep_alive_s=0),
            EmbedJob(model="e", inputs=("hi",), keep_alive_s=0),
        ):
            ticket = await queue.submit(job, INTERACTIVE)
            await queue.wait(ticket.id, PATIENCE_S)
            await until(lambda job=job: memory.notes[-1] == f"unload {job.model}")
        [worker] = (await queue.stats()).workers
        assert (await write(queue, "hi again", 3)).choices[0].tokens == 3
        assert memory.notes[2:] == ["unload w", "unload e", "load w"]
        assert worker.models == ("w", "e")


async def stays_s(queue: JobQueue) -> float:
    """Of the only model in memory."""
    [worker] = (await queue.stats()).workers
    [loaded] = worker.loaded
    return float("inf") if loaded.expires_at is None else loaded.expires_at - time.time()


async def test_a_job_without_a_text_loads_its_model_for_so_long(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    async with worker_of(queue, redis_server.url, [Embedder("a", memory), Embedder("b", memory)]):
        assert await load(queue, "b", 100) >= 3 * Memory.STEP_S
        assert await load(queue, "b") == 0
        assert memory.notes == ["load a", "unload a", "load b"]
        await embed(queue, "b", "a text")

        async def is_kept() -> bool:
            return 50 < await stays_s(queue) <= 100

        await until_async(is_kept)


async def test_all_workers_unload_a_model_that_is_told_to_leave_and_load_it_again_for_work(
    redis_server: RedisServer, queue: JobQueue
):
    memories = Memory(), Memory()
    async with (
        worker_of(queue, redis_server.url, [Embedder("a", memories[0])]),
        worker_of(queue, redis_server.url, [Embedder("a", memories[1])]),
    ):
        await load(queue, "a", float("inf"))
        await queue.memory.unload("a")
        await until(lambda: all(each.notes == ["load a", "unload a"] for each in memories))
        await queue.memory.unload("a")  # of what is not there
        await embed(queue, "a", "a text")
        assert sorted(len(each.notes) for each in memories) == [2, 3]


async def test_work_that_runs_ends_before_its_model_leaves(
    redis_server: RedisServer, queue: JobQueue, memory: Memory
):
    runner = Embedder("a", memory)
    async with worker_of(queue, redis_server.url, [runner]):
        runner.gate.clear()
        tickets = [await queue.submit(EmbedJob(model="a", inputs=(text,)), INTERACTIVE) for text in "xy"]
        await until(lambda: runner.batches)
        await queue.memory.unload("a")
        await asyncio.sleep(0.3)
        assert memory.notes == ["load a"]
        runner.gate.set()
        for ticket in tickets:
            await queue.wait(ticket.id, PATIENCE_S)
        await until(lambda: memory.notes == ["load a", "unload a"])
