"""Stock RQ, used as its users would: what the engine is compared with."""

import asyncio
import time

import redis
import redis.asyncio
from rq import Queue

QUEUE = "stock"


def noop(value: int) -> int:
    """The job. RQ imports it by name in the worker."""
    return value


def worker_command(url: str) -> tuple[str, ...]:
    return (
        "-m",
        "rq.cli",
        "worker",
        "-u",
        url,
        "-w",
        "rq.worker.SimpleWorker",
        "--logging_level",
        "ERROR",
        QUEUE,
    )


async def closed_loop(url: str, concurrency: int, total: int) -> tuple[float, list[float]]:
    """(seconds, latencies in seconds) of enqueue, run, and the result's arrival in RQ's result stream."""
    waiting = redis.asyncio.Redis.from_url(url, max_connections=1000)
    queue = Queue(QUEUE, connection=redis.Redis.from_url(url))
    turns = iter(range(total))
    latencies_s: list[float] = []

    async def work() -> None:
        for turn in turns:
            began = time.perf_counter()
            job = queue.enqueue(noop, turn)
            if not await waiting.xread({f"rq:results:{job.id}": "0-0"}, block=30_000):
                raise TimeoutError(job.id)
            latencies_s.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(concurrency)])
    seconds = time.perf_counter() - began
    await waiting.aclose()
    return seconds, latencies_s


def enqueue(url: str, total: int) -> None:
    queue = Queue(QUEUE, connection=redis.Redis.from_url(url))
    for start in range(0, total, 500):
        count = min(500, total - start)
        queue.enqueue_many([Queue.prepare_data(noop, (n,)) for n in range(count)])
