"""A long queue: what each call costs with a million jobs in it, what a job takes of Redis' memory, and the drain.

MLXQ_BENCH_JOBS=100000 takes fewer.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import redis

from bench.queue.interruptions import Clock, prefer, waited_s
from bench.queue.slowlog import log_from, logged, longest, named, of_measured_client
from bench.report import Row, median, quantile_ms
from bench.stack import job_queue, process, python, redis_server
from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.errors import QueueUnavailable
from jobs.job import Lane, SubmitOptions
from jobs.store import keys

JOBS = int(os.environ.get("MLXQ_BENCH_JOBS", "1000000"))
FEW = 100
OPTIONS = SubmitOptions(lane=Lane.BULK)
QUEUE = keys.queue_name("embed", "noop", Lane.BULK)
AT_ONCE = 2000
CALLERS = 64
TURNS, TURN_JOBS = 6, 200
"""Submits are measured in so many turns, which grow the short queue to some more than FEW."""
CALLS = 20
CANCELS = 2000
WORKERS = 2
SLOW_S = 0.001
LONG_S = 0.02


def text(number: int) -> EmbedJob:
    return EmbedJob(model="noop", inputs=(f"The sentence with the number {number} is like others.",))


async def measure(repeats: int) -> list[Row]:
    """One run, whatever `repeats`: a million jobs are their own repeats."""
    rows: list[Row] = []
    with redis_server() as short_url, redis_server() as long_url:
        async with idle(short_url) as short, idle(long_url) as long:
            client = redis.Redis.from_url(long_url)
            has_its_core = prefer(process_id(client))
            empty_bytes = used_bytes(client)
            rate, _ = await submit(short, FEW)
            rate, ids = await submit(long, JOBS)
            waiting = (used_bytes(client) - empty_bytes) / JOBS
            rows += [
                Row(f"loading {JOBS:,} jobs", {"jobs/s": rate, "bytes per waiting job": waiting}),
                await submits(short, long),
                *await calls(long, client, ids),
                await cancels(long, ids),
            ]
            rows += await drain(client, long_url, empty_bytes)
    return [*rows, Row("Redis went before all other programs", {"yes 1, no 0": has_its_core})]


@contextlib.asynccontextmanager
async def idle(url: str) -> AsyncIterator[JobQueue]:
    """A client of a queue whose worker lives and takes nothing (`rq suspend`)."""
    client = redis.Redis.from_url(url)
    client.set(keys.SUSPENDED, 1)
    worker = process(*python("-m", "bench.queue.noop_worker"), REDIS_URL=url)
    async with worker, job_queue(named(url), "noop", queue_limit=10 * JOBS) as queue:
        yield queue


def process_id(client: redis.Redis) -> int:
    server: Any = client.info("server")
    return int(server["process_id"])


async def submit(queue: JobQueue, count: int) -> tuple[float, list[str]]:
    """(jobs per second, their ids), through the client as any caller submits."""
    began = time.perf_counter()
    ids: list[str] = []
    for start in range(0, count, AT_ONCE):
        some = range(start, min(start + AT_ONCE, count))
        ids += [ticket.id for ticket in await asyncio.gather(*[queue.submit(text(n), OPTIONS) for n in some])]
    return count / (time.perf_counter() - began), ids


async def submits(short: JobQueue, long: JobQueue) -> Row:
    """Jobs per second of callers that submit a job and ask for its place, as `POST /v1/jobs` does, in turns."""
    rates: dict[JobQueue, list[float]] = {short: [], long: []}
    for _ in range(TURNS):
        for queue, found in rates.items():
            found.append(await submit_and_view(queue))
    few, many = median(rates[short]), median(rates[long])
    figures = {f"jobs/s at {FEW}": few, f"jobs/s at {JOBS:,}": many}
    ratio = median([b / a for a, b in zip(rates[short], rates[long], strict=True)])
    return Row("submit, with its place in the queue", {**figures, "ratio": ratio})


async def submit_and_view(queue: JobQueue) -> float:
    turns = iter(range(TURN_JOBS))

    async def work() -> None:
        for number in turns:
            ticket = await queue.submit(text(number), OPTIONS)
            await queue.view(ticket.id)

    began = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(CALLERS)])
    return TURN_JOBS / (time.perf_counter() - began)


async def calls(queue: JobQueue, client: redis.Redis, ids: list[str]) -> list[Row]:
    """Redis' own time of one call each, all jobs waiting."""
    chance = random.Random(1)
    some = [ids[-1], *chance.sample(ids[:-1], CALLS - 1)]

    async def page(offset: int = 0, after: str | None = None) -> None:
        await queue.views(limit=20, offset=offset, after=after)

    return [
        await timed(client, "position", [lambda job_id=job_id: queue.view(job_id) for job_id in some]),
        await timed(client, "cancel", [lambda job_id=job_id: queue.cancel(job_id) for job_id in some]),
        await timed(client, "list, first page", [page] * CALLS),
        await timed(client, "list, a page in the middle", [lambda: page(after=some[-1])] * CALLS),
        await timed(client, "list, page at offset 500", [lambda: page(500)] * CALLS),
        await timed(client, "stats", [queue.stats] * CALLS),
    ]


async def cancels(queue: JobQueue, ids: list[str]) -> Row:
    """Many at once, from all over the queue."""
    refused = 0

    async def cancel(job_id: str) -> None:
        nonlocal refused
        try:
            await queue.cancel(job_id)
        except QueueUnavailable:
            refused += 1

    began = time.perf_counter()
    await asyncio.gather(*[cancel(job_id) for job_id in random.Random(2).sample(ids, CANCELS)])
    seconds = time.perf_counter() - began
    return Row(f"{CANCELS:,} cancels at once", {"seconds": seconds, "refused": refused})


async def timed(client: redis.Redis, what: str, calls: list[Callable[[], Awaitable[object]]]) -> Row:
    spent_s: list[float] = []
    took_s: list[float] = []
    for call in calls:
        log_from(client, 0)
        began = time.perf_counter()
        await call()
        took_s.append(time.perf_counter() - began)
        spent_s.append(of_measured_client(logged(client)))
    figures = {"Redis ms": median(spent_s) * 1e3, "at most": max(spent_s) * 1e3}
    return Row(f"{what}, one call", {**figures, "caller's ms": quantile_ms(took_s, 0.5)})


async def drain(client: redis.Redis, url: str, empty_bytes: int) -> list[Row]:
    """All of them, by two workers; what took Redis long meanwhile."""
    finished = keys.registry("finished", QUEUE)
    waiting: int = client.llen(keys.queue(QUEUE))  # pyright: ignore
    pid = process_id(client)
    with Clock() as clock:
        async with process(*python("-m", "bench.queue.noop_worker"), REDIS_URL=url):
            log_from(client, SLOW_S)
            waited_before_s = waited_s(pid)
            client.delete(keys.SUSPENDED)
            began = time.perf_counter()
            while (ended := int(str(client.zcard(finished)))) < JOBS - CALLS - CANCELS or is_working(client):
                await asyncio.sleep(0.5)
            seconds = time.perf_counter() - began
            waited_for_s = waited_s(pid) - waited_before_s
    commands = logged(client)
    scripts = [each.seconds for each in commands if each.seconds > LONG_S]
    stored = (used_bytes(client) - empty_bytes) / ended
    return [
        Row(f"drain by {WORKERS} workers", {"jobs": ended, "of": waiting, "jobs/s": ended / seconds}),
        Row("memory", {"bytes per finished job": stored}),
        Row("SLOWLOG, the longest ms", {name: s * 1e3 for name, s in longest(commands).items()}),
        Row(f"SLOWLOG, over {LONG_S * 1e3:.0f} ms", {"commands": len(scripts), "of": len(commands)}),
        Row(
            "what the machine took meanwhile",
            {
                "s that Redis waited for a processor": waited_for_s,
                "longest ms that a clock missed": clock.longest_gap_s * 1e3,
            },
        ),
    ]


def is_working(client: redis.Redis) -> bool:
    return bool(client.llen(keys.queue(QUEUE)) or client.zcard(keys.registry("started", QUEUE)))


def used_bytes(client: redis.Redis) -> int:
    """Without what waits to be written to connections and to the disk."""
    memory = client.info("memory")
    passing = sum(memory.get(f"mem_{name}", 0) for name in ("clients_normal", "aof_buffer"))  # pyright: ignore
    return int(memory["used_memory"]) - passing  # pyright: ignore
