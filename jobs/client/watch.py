"""Checks once a second whether Redis can be used and which models have a live worker, and ends hopeless waits."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import redis.asyncio

from jobs.client.absences import count_absences
from jobs.client.inspector import QueueInspector
from jobs.client.outcome_listener import JobOutcome
from jobs.errors import NoWorker, QueueUnavailable
from jobs.process.cancelling import cancel_and_wait
from jobs.stats import WorkerStats
from jobs.store.outage import SILENT, Outage
from jobs.store.probe import ANSWER_S, Probe, RedisUnusable

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Time between two checks."""

PATIENCE_S = 4.0
"""How long Redis may be silent: a slow disk holds it up for a second or two."""


class _Wait(NamedTuple):
    """A wait for work of a model."""

    model: str
    patience_s: float
    """How long it may last while no worker serves the model, or while Redis cannot be used."""


class Watch:
    """One per API process."""

    def __init__(self, client: redis.asyncio.Redis, outage: Outage, checked: Callable[[], None]) -> None:
        """checked: is called after every check."""
        self._probe = Probe(client, outage.folder)
        self._inspector = QueueInspector(self._probe.redis, limit=0)
        self._outage = outage
        self._checked = checked
        self._absent_s: dict[str, float] = {}  # of the models that somebody has waited for
        self._waits: dict[asyncio.Future[JobOutcome], _Wait] = {}
        self._found: list[WorkerStats] = []
        self._found_at = float("-inf")
        self._asking: asyncio.Task[list[WorkerStats]] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to check."""
        self._watching = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        """Ends the checks."""
        await cancel_and_wait(*(task for task in (self._watching, self._asking) if task is not None))
        await self._probe.aclose()

    def absent_s(self, model: str) -> float:
        """How long the model has been without a worker that lives or starts, counted from the first wait for it."""
        return self._absent_s.setdefault(model, 0.0)

    def guard(self, future: asyncio.Future[JobOutcome], model: str, patience_s: float) -> None:
        """Ends the wait for the future, now or later, if no worker serves the model for patience_s (NoWorker), or if
        Redis cannot be used for that long (QueueUnavailable). Give the future to `release` in the end.
        """
        self._waits[future] = _Wait(model, patience_s)
        self._end_if_hopeless(future, self._waits[future])

    def release(self, future: asyncio.Future[JobOutcome]) -> None:
        """Nobody waits for the future any more."""
        self._waits.pop(future, None)

    def _end_if_hopeless(self, future: asyncio.Future[JobOutcome], wait: _Wait) -> None:
        absent_s = self._absent_s.setdefault(wait.model, 0.0)
        if future.done():
            return
        if self._outage.cause is not None and self._outage.lasts_s >= wait.patience_s:
            future.set_exception(unavailable(self._outage.cause))
        elif absent_s >= wait.patience_s:
            future.set_exception(NoWorker(f"No worker has served {wait.model} for {absent_s:.0f} s."))

    async def workers(self) -> list[WorkerStats]:
        """The live ones, as they are now. It takes less than two seconds: where Redis needs longer, what the last check
        found counts for a moment. Raises RedisUnusable.
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
                self._checked()
                for future, wait in self._waits.items():
                    self._end_if_hopeless(future, wait)
            except Exception:
                log.exception("checking whether Redis can be used failed, checking again")
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        asked_at = time.monotonic()
        try:
            workers, starting = await self._probe.ask(self._inspector.attendance, PATIENCE_S)
        except RedisUnusable as error:
            self._outage.begin(error.cause, since=asked_at)
            raise
        self._outage.end()
        now = time.monotonic()
        live = {model for worker in workers for model in worker.models}
        # A process that slept knows nothing of the time in which it slept.
        passed_s = min(now - self._found_at, 2 * LOOK_S)
        count_absences(self._absent_s, live, starting=starting, passed_s=passed_s)
        self._found, self._found_at = workers, now


def unavailable(cause: str | None) -> QueueUnavailable:
    """The error where Redis cannot be used. cause: one of jobs.store.outage.cause_of."""
    return QueueUnavailable(f"Redis cannot be used ({cause}). Try again in a moment.")


def _retrieve(task: asyncio.Task[list[WorkerStats]]) -> None:
    """The caller that asked may have left, and asyncio warns of exceptions that nobody retrieves."""
    if not task.cancelled():
        task.exception()
