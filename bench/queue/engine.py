"""The queue alone: jobs that compute nothing, through the engine and through stock RQ."""

import asyncio
import time
from collections.abc import Callable

import redis

from bench.queue import stock
from bench.report import Row, median, quantile_ms
from bench.stack import job_queue, process, python, redis_server
from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.job import Lane, SubmitOptions

JOB = EmbedJob(model="noop", inputs=("hello",))
AWAITED = SubmitOptions(lane=Lane.INTERACTIVE, result_ttl_s=60, awaited=True)
CONCURRENCIES = (1, 16, 64, 256)
ENGINE_TOTAL = {1: 1000, 16: 5000, 64: 10000, 256: 15000}
STOCK_TOTAL = {1: 400, 16: 1200, 64: 1600, 256: 1600}
ENGINE_DRAIN, STOCK_DRAIN = 30_000, 3_000


async def closed_loop(queue: JobQueue, concurrency: int, total: int) -> tuple[float, list[float]]:
    """(seconds, latencies in seconds) from submit to the decoded result."""
    turns = iter(range(total))
    latencies_s: list[float] = []

    async def work() -> None:
        for _ in turns:
            began = time.perf_counter()
            ticket = await queue.submit(JOB, AWAITED)
            await queue.wait(ticket.id, 30)
            latencies_s.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(concurrency)])
    return time.perf_counter() - began, latencies_s


async def measure(repeats: int) -> list[Row]:
    rows: list[Row] = []
    for concurrency in CONCURRENCIES:
        ours: list[tuple[float, float, float]] = []
        theirs: list[tuple[float, float, float]] = []
        for _ in range(repeats):
            ours.append(await _engine_loop(concurrency))
            theirs.append(await _stock_loop(concurrency))
        rows.append(
            Row(
                f"closed loop, {concurrency} at once",
                {
                    "mlxq jobs/s": median([rate for rate, _, _ in ours]),
                    "mlxq p50 ms": median([p50 for _, p50, _ in ours]),
                    "mlxq p99 ms": median([p99 for _, _, p99 in ours]),
                    "rq jobs/s": median([rate for rate, _, _ in theirs]),
                    "rq p50 ms": median([p50 for _, p50, _ in theirs]),
                    "rq p99 ms": median([p99 for _, _, p99 in theirs]),
                    "jobs/s ratio": median([a[0] / b[0] for a, b in zip(ours, theirs, strict=True)]),
                    "p50 ratio": median([a[1] / b[1] for a, b in zip(ours, theirs, strict=True)]),
                },
            )
        )
    ours_drain = [await _engine_drain() for _ in range(repeats)]
    stock_drain = [await _stock_drain() for _ in range(repeats)]
    ratio = median([a / b for a, b in zip(ours_drain, stock_drain, strict=True)])
    rows.append(
        Row(
            "draining queued jobs",
            {"mlxq jobs/s": median(ours_drain), "rq jobs/s": median(stock_drain), "jobs/s ratio": ratio},
        )
    )
    return rows


async def _engine_loop(concurrency: int) -> tuple[float, float, float]:
    with redis_server() as url:
        async with (
            process(*python("-m", "bench.queue.noop_worker"), REDIS_URL=url),
            job_queue(url, "noop") as queue,
        ):
            await closed_loop(queue, concurrency, 4 * concurrency)
            return _figures(*await closed_loop(queue, concurrency, ENGINE_TOTAL[concurrency]))


async def _stock_loop(concurrency: int) -> tuple[float, float, float]:
    with redis_server() as url:
        async with process(*python(*stock.worker_command(url))):
            await stock.closed_loop(url, concurrency, 2 * concurrency)
            return _figures(*await stock.closed_loop(url, concurrency, STOCK_TOTAL[concurrency]))


def _figures(seconds: float, latencies_s: list[float]) -> tuple[float, float, float]:
    return len(latencies_s) / seconds, quantile_ms(latencies_s, 0.5), quantile_ms(latencies_s, 0.99)


async def _engine_drain() -> float:
    with redis_server() as url:
        async with (
            process(*python("-m", "bench.queue.noop_worker"), REDIS_URL=url),
            job_queue(url, "noop") as queue,
        ):
            client = redis.Redis.from_url(url)
            client.set("rq:suspended", 1)  # `rq suspend`: everything is queued before the first job starts
            await asyncio.sleep(2)
            for _ in range(ENGINE_DRAIN // 500):
                await asyncio.gather(*[queue.submit(JOB, SubmitOptions()) for _ in range(500)])
            client.delete("rq:suspended")
            return await _drain_rate(lambda: client.zcard("rq:finished:embed:noop:default"), ENGINE_DRAIN)


async def _stock_drain() -> float:
    with redis_server() as url:
        client = redis.Redis.from_url(url)
        stock.enqueue(url, STOCK_DRAIN)
        async with process(*python(*stock.worker_command(url))):
            return await _drain_rate(lambda: client.zcard(f"rq:finished:{stock.QUEUE}"), STOCK_DRAIN)


async def _drain_rate(finished: Callable[[], object], total: int) -> float:
    """Jobs per second over the last nine tenths, when the worker is under way."""

    async def until(count: int) -> int:
        while (done := int(str(finished()))) < count:
            await asyncio.sleep(0.005)
        return done

    first, began = await until(total // 10), time.perf_counter()
    await until(total)
    return (total - first) / (time.perf_counter() - began)
