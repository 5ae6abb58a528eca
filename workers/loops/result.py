"""Turns outcomes into results and writes them back, many jobs in one FINISH."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from redis.exceptions import RedisError, ResponseError

from jobs.errors import InternalError, JobError, JobStopped
from jobs.generate import GenerateJob
from jobs.job import Result
from jobs.store.outage import is_refused_write
from workers.models.model_cache import Residents
from workers.queue import rq_bridge
from workers.queue.client import Ledger, Settlement, failed
from workers.queue.drain_rates import DrainRates
from workers.queue.retry import next_delay_s
from workers.scheduling.in_flight import Hand, Held

log = logging.getLogger(__name__)

MAX_JOBS = 256
"""Jobs in one FINISH: keeps a script near a millisecond."""

MAX_FOLLOWUPS = 100
"""Ended jobs seen to in one sweep: results wait meanwhile."""

MAX_REFUSALS = 50
"""Ten seconds of a Redis that refuses a command for no cause that may pass."""

GIVE_UP_S = 10
"""How long a worker that is to stop waits for Redis to take its results."""

_T = TypeVar("_T")
_Done = tuple[Held, Result | JobError | None]


class Finisher:
    """Runs in a thread of its own, until stopped and empty."""

    def __init__(
        self,
        hand: Hand,
        ledger: Ledger,
        residents: Residents,
        rates: DrainRates,
        bridge: rq_bridge.RqBridge,
    ) -> None:
        self._hand = hand
        self._ledger = ledger
        self._residents = residents
        self._rates = rates
        self._bridge = bridge
        self._done: queue.SimpleQueue[_Done | None] = queue.SimpleQueue()  # None: look at the flags
        self._stopping = False
        self._sweeping = False
        self._give_up_at = float("inf")
        self.ended = threading.Event()
        """Stopped, and all is written."""

    def complete(self, held: Held) -> None:
        """All outcomes of the job are there."""
        self._done.put((held, None))

    def fail(self, held: Held, error: JobError) -> None:
        """The job failed as a whole."""
        self._done.put((held, error))

    def end(self, held: Held, result: Result) -> None:
        """The job needed no device: this is its result."""
        self._done.put((held, result))

    def sweep(self) -> None:
        """Follow up the jobs that ended without a worker, or whose worker did not come to it."""
        self._sweeping = True
        self._done.put(None)

    def stop(self) -> None:
        """Write what is there, then end; a little later if Redis is away."""
        self._give_up_at = time.monotonic() + GIVE_UP_S
        self._stopping = True
        self._done.put(None)

    def run(self) -> None:
        while not self._stopping or not self._done.empty():
            batch = self._next_batch()
            settlements = [self._settlement(held, outcome) for held, outcome in batch]
            self._write(batch, settlements)
            if self._sweeping and not self._stopping:
                self._sweeping = False
                self._follow_up_left_ones()
        self.ended.set()

    def _next_batch(self) -> list[_Done]:
        batch: list[_Done] = []
        entry = self._done.get()
        while True:
            if entry is not None:
                batch.append(entry)
            if len(batch) >= MAX_JOBS:
                return batch
            try:
                entry = self._done.get_nowait()
            except queue.Empty:
                return batch

    def _settlement(self, held: Held, outcome: Result | JobError | None) -> Settlement:
        claim = held.claim
        try:
            if isinstance(outcome, JobError):
                raise outcome
            assert held.job is not None
            result = outcome or self._residents.runners[held.model].assemble(
                held.job, held.items, held.outcomes
            )
            if claim.has_callbacks:
                self._bridge.run_success_callback(claim.id, result)
            return Settlement(claim, "finished", claim.result_ttl_s, self._store(held, result))
        except JobError as raised:
            failure = raised
        except Exception as raised:
            log.exception("job failed", extra={"job_id": claim.id})
            failure = InternalError()
            failure.__cause__ = raised
        delay_s = next_delay_s(failure, claim.retries_left, claim.retry_delays_s)
        if delay_s is not None:
            return Settlement(claim, "retry", delay_s)
        stopped = isinstance(failure, JobStopped)
        if claim.has_callbacks and stopped:
            self._bridge.run_stopped_callback(claim.id)
        elif claim.has_callbacks:
            self._bridge.run_failure_callback(claim.id, failure)
        return failed(claim, failure.failure(), "stopped" if stopped else "failed")

    def _store(self, held: Held, result: Result) -> bytes:
        return self._insist(lambda: self._ledger.store(held.claim, result))

    def _insist(self, write: Callable[[], _T]) -> _T:
        """Redis away or full: a computed result waits for it. Its lease is renewed meanwhile, or runs out in Redis.

        Raises RedisError when the worker stops and Redis stays away, or when it keeps refusing for another cause than
        that it takes no writes: that is a defect.
        """
        refused = 0
        while True:
            try:
                return write()
            except RedisError as error:
                refused += isinstance(error, ResponseError) and not is_refused_write(error)
                if refused > MAX_REFUSALS or time.monotonic() > self._give_up_at:
                    raise
                self._ledger.outage.note(error)
                time.sleep(0.2)

    def _write(self, batch: Sequence[_Done], settlements: Sequence[Settlement]) -> None:
        if not batch:
            return
        now = time.monotonic()
        worked_s = sum(now - held.claimed_at for held, _ in batch)
        stale, followups = self._insist(lambda: self._ledger.settle(settlements, worked_s))
        for held, _ in batch:
            job = held.job
            self._residents.touch(held.model, job.keep_alive_s if isinstance(job, GenerateJob) else None)
        self._hand.forget(held for held, _ in batch)
        for settlement in settlements:
            if settlement.claim.id not in stale:
                self._rates.count(settlement.claim.queue)
        self._follow_up(followups)

    def _follow_up_left_ones(self) -> None:
        try:
            self._follow_up(self._ledger.take_followups(MAX_FOLLOWUPS))
        except RedisError as error:
            self._ledger.outage.note(error)

    def _follow_up(self, job_ids: Sequence[str]) -> None:
        try:
            for job_id in job_ids:
                self._bridge.follow_up(job_id)
        except RedisError as error:
            self._ledger.outage.note(error)  # the others are left to a later sweep
