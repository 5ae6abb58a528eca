"""Looks once a second whether Redis can be used, and which models have a live worker."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import redis.asyncio

from jobs.client.absences import Absences
from jobs.client.inspector import QueueInspector
from jobs.process.cancelling import cancel_and_wait
from jobs.stats import WorkerStats
from jobs.store.outage import SILENT, Outage
from jobs.store.probe import ANSWER_S, Probe, RedisUnusable

log = logging.getLogger(__name__)

LOOK_S = 1.0

PATIENCE_S = 5.0
"""A process that is busy with large bodies takes its time to read an answer: that is no outage of Redis."""

_MISSES = 2
"""So many looks in a row must find it silent."""


class Watch:
    """One per API process. `looked` is called after every look."""

    def __init__(self, client: redis.asyncio.Redis, outage: Outage, looked: Callable[[], None]) -> None:
        self._probe = Probe(client, outage.folder)
        self._inspector = QueueInspector(self._probe.redis, limit=0)
        self._outage = outage
        self._looked = looked
        self._absences = Absences()
        self._misses = 0
        self._found: list[WorkerStats] = []
        self._found_at = float("-inf")
        self._asking: asyncio.Task[list[WorkerStats]] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts the looks, in a task of the running event loop."""
        self._watching = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        """Ends the looks and closes the connections they used."""
        await cancel_and_wait(*(task for task in (self._watching, self._asking) if task is not None))
        await self._probe.aclose()

    def absent_s(self, model: str) -> float:
        """How long the model has been without a worker that lives or starts."""
        return self._absences.seconds(model)

    async def workers(self) -> list[WorkerStats]:
        """The live ones, as they are now; in less than two seconds, so what was found a moment ago counts where that is
        too short. Raises RedisUnusable.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(_retrieve)
        try:
            return await asyncio.shield(self._asking)
        except RedisUnusable as error:
            if error.cause == SILENT and time.monotonic() < self._found_at + PATIENCE_S:
                return self._found
            raise

    async def _ask(self) -> list[WorkerStats]:
        workers, _ = await self._probe.ask(self._inspector.attendance, ANSWER_S)
        return workers

    async def _watch(self) -> None:
        while True:
            try:
                with contextlib.suppress(RedisUnusable):
                    await self._look()
                self._looked()
            except Exception:
                log.exception("looking whether Redis can be used failed, looking again")
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        try:
            workers, starting = await self._probe.ask(self._inspector.attendance, PATIENCE_S)
        except RedisUnusable as error:
            self._misses += 1
            if error.cause != SILENT or self._misses >= _MISSES:
                self._outage.begin(error.cause)
            raise
        self._misses = 0
        self._outage.end()
        now = time.monotonic()
        live = {model for worker in workers for model in worker.models}
        # A process that slept knows nothing of the time between.
        passed_s = min(now - self._found_at, 2 * LOOK_S)
        self._absences.count(live, starting=starting, passed_s=passed_s)
        self._found, self._found_at = workers, now


def _retrieve(task: asyncio.Task[list[WorkerStats]]) -> None:
    """Whoever asked may be gone."""
    if not task.cancelled():
        task.exception()
