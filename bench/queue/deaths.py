"""A short chat, alone and right after another worker of its model was killed with streams in hand."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import redis

from bench.queue.noop import GENERATOR
from bench.report import Row, median
from bench.stack import job_queue, process, python, redis_server, until
from jobs.client.queue import JobQueue
from jobs.generate import GenerateJob, Prompt
from jobs.job import Lane, SubmitOptions
from jobs.settings import Settings
from jobs.store import keys
from workers.queue.dead_worker import free_leases

WORKERS = 2
STREAMS = 16
STREAM_TOKENS = 600
CHAT_TOKENS = 16
CHATS = 5
"""Asked for one after the other: alone, beside streams, and from a death on."""
OPTIONS = SubmitOptions(lane=Lane.INTERACTIVE)
START_S = 300
LEASE_S = 10
ACQUAINTED_S = 3.0
"""Workers look once a second at who else is there."""


async def measure(repeats: int) -> list[Row]:
    """Each repeat is a death of each kind."""
    usual = 0.0
    rows: list[Row] = []
    for what, free in (("a worker killed under its supervisor", True), ("a machine died", False)):
        alone: list[float] = []
        beside: list[float] = []
        after: list[float] = []
        for _ in range(repeats):
            async with _workers() as (url, client, queue):
                short = _Chats(queue)
                alone += [await short.chat() for _ in range(CHATS)]
                async with short.streams():
                    beside += [await short.chat() for _ in range(CHATS)]
                    dead = await _holder(client)
                    os.kill(int(dead.split(".")[-2]), signal.SIGKILL)
                    if free:
                        await asyncio.to_thread(free_leases, Settings(redis_url=url, lease_s=LEASE_S), dead)
                    after += [await short.chat() for _ in range(CHATS)]
        usual = usual or median(alone)
        rows += [
            _row("a short chat, alone", alone, usual),
            _row(f"beside {STREAMS} streams of {WORKERS} workers", beside, usual),
            _row(f"after {what}", after, usual),
        ]
    return rows


def _row(what: str, times: list[float], usual: float) -> Row:
    figures = {"p50 s": median(times), "max s": max(times), "max above alone s": max(times) - usual}
    return Row(what, figures)


@contextlib.asynccontextmanager
async def _workers() -> AsyncIterator[tuple[str, redis.Redis, JobQueue]]:
    """Workers whose steps take as long whatever the machine does, so that waiting shows and computing does not."""
    async with contextlib.AsyncExitStack() as stack:
        url = stack.enter_context(redis_server())
        client = redis.Redis.from_url(url)
        stack.callback(client.close)
        command = python("-m", "bench.queue.noop_worker", "--chat")
        for _ in range(WORKERS):
            await stack.enter_async_context(process(*command, REDIS_URL=url, MLXQ_LEASE_S=str(LEASE_S)))
        queue = await stack.enter_async_context(job_queue(url, GENERATOR))
        await until(
            lambda: len(list(client.scan_iter(keys.worker("*"), 1000))) == WORKERS, START_S, "all workers"
        )
        await asyncio.sleep(ACQUAINTED_S)
        yield url, client, queue


class _Chats:
    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def chat(self) -> float:
        """Seconds until its whole answer is there."""
        began = time.perf_counter()
        await self._read(CHAT_TOKENS)
        return time.perf_counter() - began

    @contextlib.asynccontextmanager
    async def streams(self) -> AsyncIterator[None]:
        """Long ones, all of which have begun. They come to their end, whoever dies."""
        begun = [asyncio.Event() for _ in range(STREAMS)]
        reading = [asyncio.create_task(self._read(STREAM_TOKENS, event)) for event in begun]
        await asyncio.gather(*[event.wait() for event in begun])
        yield
        await asyncio.gather(*reading)

    async def _read(self, tokens: int, begun: asyncio.Event | None = None) -> None:
        job = GenerateJob(GENERATOR, Prompt("again. "), stream=True, max_tokens=tokens)
        ticket = await self._queue.submit(job, OPTIONS)
        async with contextlib.aclosing(self._queue.stream(ticket.id)) as events:
            async for _ in events:
                if begun is not None:
                    begun.set()


async def _holder(client: redis.Redis) -> str:
    """The worker that holds the most streams, once every worker has some."""

    def held() -> dict[str, int]:
        workers: Any = client.zrange(keys.LEASES, 0, -1)
        return {name: int(str(client.zcard(keys.held(name)))) for name in keys.names(workers)}

    await until(lambda: min(held().values()) > 0, START_S, "streams in every worker")
    found = held()
    return max(found, key=lambda name: found[name])
