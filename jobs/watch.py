"""Looks once a second whether Redis can be used, and which models have a live worker."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import redis.asyncio

from jobs.absences import Absences
from jobs.cancelling import cancel_and_wait
from jobs.census import Census
from jobs.outage import Outage
from jobs.probe import Probe, RedisUnusable
from jobs.types import WorkerStats

LOOK_S = 1.0

_MISSES = 2
"""So many looks in a row must fail: a process that was busy for a second misses one answer."""


class Watch:
    """One per API process. `looked` is called after every look."""

    def __init__(self, client: redis.asyncio.Redis, outage: Outage, looked: Callable[[], None]) -> None:
        self._probe = Probe(client, outage.folder)
        self._census = Census(self._probe.redis, limit=0)
        self._outage = outage
        self._looked = looked
        self._absences = Absences()
        self._counted_at = time.monotonic()
        self._misses = 0
        self._looking: asyncio.Task[list[WorkerStats]] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        await cancel_and_wait(*(task for task in (self._watching, self._looking) if task is not None))
        await self._probe.aclose()

    def absent_s(self, model: str) -> float:
        """How long the model has been without a worker that lives or starts."""
        return self._absences.seconds(model)

    async def workers(self) -> list[WorkerStats]:
        """The live ones, as they are now; in less than two seconds. Raises RedisUnusable."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(_retrieve)
        return await asyncio.shield(self._looking)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(RedisUnusable):
                await self.workers()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> list[WorkerStats]:
        try:
            workers, starting = await self._probe.ask(self._census.attendance)
        except RedisUnusable as error:
            self._misses += 1
            if self._misses >= _MISSES:
                self._outage.begin(error.cause)
                self._looked()
            raise
        self._misses = 0
        self._outage.end()
        now = time.monotonic()
        live = {model for worker in workers for model in worker.models}
        passed_s = min(
            now - self._counted_at, 2 * LOOK_S
        )  # a process that slept knows nothing of the time between
        self._absences.count(live, starting=starting, passed_s=passed_s)
        self._counted_at = now
        self._looked()
        return workers


def _retrieve(look: asyncio.Task[list[WorkerStats]]) -> None:
    """Whoever asked may be gone."""
    if not look.cancelled():
        look.exception()
