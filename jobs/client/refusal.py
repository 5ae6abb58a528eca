"""Says why a job is not taken, and when a caller may come back."""

import logging
import time

from jobs.client.inspector import QueueInspector
from jobs.errors import IdempotencyConflict, InternalError, JobError, Overloaded, QueueUnavailable
from jobs.store import keys

log = logging.getLogger(__name__)

FULL = 0.9
"""Share of Redis' memory from which on it is given no more work: results need the rest."""

FRESH_S = 1.0
"""How long an answer about Redis' memory is used again."""

FULL_RETRY_S = 60


class Refusal:
    """One per process. Raises RedisError, too."""

    def __init__(self, inspector: QueueInspector, *, most_bytes: int) -> None:
        """most_bytes: that may wait in a queue."""
        self._inspector = inspector
        self._most_bytes = most_bytes
        self._checked_at = float("-inf")
        self._error: Overloaded | None = None

    async def check_memory(self) -> None:
        """Raises Overloaded where Redis' memory is nearly full, as it was a moment ago."""
        if time.monotonic() >= self._checked_at + FRESH_S:
            self._checked_at = time.monotonic()  # others that come meanwhile get the answer from before
            memory = await self._inspector.memory()
            self._error = None
            if memory and memory.max_bytes and memory.used_bytes >= FULL * memory.max_bytes:
                self._error = Overloaded(
                    f"Redis is nearly full: {memory.used_bytes} of its {memory.max_bytes} bytes (maxmemory) are used,"
                    f" and results need the rest. Try again in {FULL_RETRY_S} s.",
                    retry_after_s=FULL_RETRY_S,
                )
        if self._error:
            raise self._error.with_traceback(None)

    async def of_job(self, queue: str, verdict: str, value: str) -> JobError:
        """The error of a job that ADMIT did not take. verdict, value: as lua/admit.lua gives them."""
        match verdict:
            case "conflict":
                return IdempotencyConflict()
            case "ended":
                return IdempotencyConflict(
                    "The job of this Idempotency-Key has ended, and its result is kept no longer. "
                    "Use another key to do it again."
                )
            case "parts":
                return QueueUnavailable(
                    "Redis has lost parts of the job while it was sent. Try again in a moment."
                )
            case "strange":
                log.error(
                    "a queue takes no jobs: its key in Redis holds no list; delete it",
                    extra={"key": keys.queue(queue)},
                )
                return InternalError()
            case _:
                return await self._of_queue(queue, verdict, int(value))

    async def _of_queue(self, queue: str, verdict: str, found: int) -> Overloaded:
        """The error of a queue that takes no more. verdict, found: as ADMIT says it (full: jobs,
        long: jobs and canceled ones among them, heavy: bytes).

        A tenth of the queue has drained after its retry_after_s, at the measured rate.
        """
        rate = await self._inspector.drain_rate(queue)
        jobs = found if verdict != "heavy" else await self._inspector.length(queue)
        wait_s = min(3600, max(1, round(jobs / 10 / rate))) if rate > 0 else 60
        what = f"{found} jobs wait already, the most this queue takes"
        if verdict == "long":
            what = f"The queue's {found} places are taken, by jobs that wait and by canceled ones among them"
        if verdict == "heavy":
            what = f"The jobs that wait have {found} bytes, and this queue takes {self._most_bytes} bytes at most"
        return Overloaded(f"{what}. Try again in {wait_s} s.", retry_after_s=wait_s)
