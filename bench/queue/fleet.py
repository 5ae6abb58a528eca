"""Workers beside each other on one machine: how a burst is spread, what they drain, what jobs in hand cost."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import redis

from bench.queue import deaths
from bench.report import Row, median
from bench.stack import job_queue, process, python, redis_server, until
from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.job import Lane, SubmitOptions
from jobs.store import keys

JOB = EmbedJob(model="noop", inputs=("hello",))
OPTIONS = SubmitOptions(lane=Lane.BULK)
QUEUE = keys.queue_name("embed", "noop", Lane.BULK)
TEN = 10
SIZES = (1, 2, TEN)
BURST = 1000
BURST_BATCH_S = 0.2
"""A batch of the burst takes so long, so that what each worker gets is what it claimed while all were free."""
DRAIN = 60_000
HELD = 1000
HELD_BATCH_S = 600.0
LISTEN_S = 20.0
DAY_S = 86_400
START_S = 120
ACQUAINTED_S = 3.0
"""Workers look once a second at who else is there."""


async def measure(repeats: int) -> list[Row]:
    shares = [await burst() for _ in range(repeats)]
    rows = [
        Row(
            f"a burst of {BURST:,} jobs to {TEN} idle workers",
            {
                "the busiest's share, of an even one": median([busiest for busiest, _ in shares]),
                "workers with any": median([workers for _, workers in shares]),
            },
        )
    ]
    for size in SIZES:
        found = [await drain(size) for _ in range(repeats)]
        figures = {
            "jobs/s": median([rate for rate, _ in found]),
            "Redis' share of a core": median([cpu for _, cpu in found]),
        }
        rows.append(Row(f"drain by {size}", figures))
    rows.append(await growth())
    return rows + await deaths.measure(repeats)


@contextlib.asynccontextmanager
async def fleet(
    size: int, batch_s: float = 0.0, *, suspended: bool = False
) -> AsyncIterator[tuple[redis.Redis, JobQueue]]:
    """Redis with so many workers, all of which have announced themselves. They are killed in the end."""
    with redis_server() as url:
        async with contextlib.AsyncExitStack() as stack:
            client = redis.Redis.from_url(url)
            stack.callback(client.close)
            if suspended:
                client.set(keys.SUSPENDED, 1)
            command = python("-m", "bench.queue.noop_worker", "--batch-s", str(batch_s))
            for _ in range(size):
                worker = await stack.enter_async_context(process(*command, REDIS_URL=url))
                stack.callback(worker.kill)  # before the exit of `process`, which would wait for a batch
            queue = await stack.enter_async_context(job_queue(url, "noop"))
            await until(
                lambda: len(list(client.scan_iter(keys.worker("*"), 1000))) == size, START_S, "all workers"
            )
            yield client, queue


async def submit(queue: JobQueue, count: int) -> list[str]:
    ids: list[str] = []
    for start in range(0, count, BURST):
        some = await asyncio.gather(*[queue.submit(JOB, OPTIONS) for _ in range(min(BURST, count - start))])
        ids += [ticket.id for ticket in some]
    return ids


async def burst() -> tuple[float, int]:
    """(the busiest worker's jobs of an even share, workers that got any)."""
    async with fleet(TEN, BURST_BATCH_S) as (client, queue):
        await asyncio.sleep(ACQUAINTED_S)
        ids = await submit(queue, BURST)
        await until(lambda: count(client, "finished") == BURST, START_S, "the end of the burst")
        pipeline = client.pipeline(transaction=False)
        for job_id in ids:
            pipeline.hget(keys.job(job_id), "worker_name")
        jobs = Counter(pipeline.execute())
        return max(jobs.values()) / (BURST / TEN), len(jobs)


async def drain(size: int) -> tuple[float, float]:
    """(jobs per second over the last three quarters, Redis' CPU seconds per second)."""
    async with fleet(size, suspended=True) as (client, queue):
        await submit(queue, DRAIN)
        client.delete(keys.SUSPENDED)

        async def at(share: float) -> tuple[int, float, float]:
            while (done := count(client, "finished")) < DRAIN * share:
                await asyncio.sleep(0.01)
            return done, time.perf_counter(), cpu_s(client)

        done, began, cpu = await at(0.25)
        total, ended, cpu_after = await at(1.0)
        return (total - done) / (ended - began), (cpu_after - cpu) / (ended - began)


async def growth() -> Row:
    """What ten workers make the append-only file grow by, with nothing and with many jobs in hand."""
    async with fleet(TEN, HELD_BATCH_S) as (client, queue):
        idle = await written_per_s(client)
        await submit(queue, HELD)
        await until(lambda: count(client, "started") == HELD, START_S, "all jobs in hand")
        held = await written_per_s(client)
    figures = {
        "GB a day": held * DAY_S / 1e9,
        "MB an hour": held * 3600 / 1e6,
        "GB a day with none": idle * DAY_S / 1e9,
    }
    return Row(f"append-only file, {HELD:,} jobs in hand", figures)


async def written_per_s(client: redis.Redis) -> float:
    def size() -> int:
        persistence: Any = client.info("persistence")
        return int(persistence["aof_current_size"])

    before, began = size(), time.perf_counter()
    await asyncio.sleep(LISTEN_S)
    return (size() - before) / (time.perf_counter() - began)


def count(client: redis.Redis, status: str) -> int:
    return int(str(client.zcard(keys.registry(status, QUEUE))))


def cpu_s(client: redis.Redis) -> float:
    cpu: Any = client.info("cpu")
    return float(cpu["used_cpu_sys"]) + float(cpu["used_cpu_user"])
