"""Turns outcomes into results and writes them back, many jobs in one FINISH."""

import logging
import queue
import time
from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError, ResponseError

from jobs.errors import InternalError, JobError
from jobs.types import Result
from workers import rq_bridge
from workers.hand import Hand, Held
from workers.ledger import Ledger, Settlement, failed
from workers.rates import DrainRates
from workers.retrying import next_delay_s
from workers.runners.base import Runner

log = logging.getLogger(__name__)

MAX_JOBS = 256
"""Jobs in one FINISH: keeps a script near a millisecond."""

_Done = tuple[Held, JobError | None]


class Finisher:
    """Runs in a thread of its own, until stopped and empty."""

    def __init__(
        self,
        hand: Hand,
        ledger: Ledger,
        runners: Mapping[str, Runner],
        rates: DrainRates,
        bridge: rq_bridge.RqBridge,
    ) -> None:
        self._hand = hand
        self._ledger = ledger
        self._runners = runners
        self._rates = rates
        self._bridge = bridge
        self._done: queue.SimpleQueue[_Done | None] = queue.SimpleQueue()
        self._stopping = False

    def complete(self, held: Held) -> None:
        """All outcomes of the job are there."""
        self._done.put((held, None))

    def fail(self, held: Held, error: JobError) -> None:
        """The job failed as a whole."""
        self._done.put((held, error))

    def stop(self) -> None:
        """Write what is there, then end."""
        self._done.put(None)

    def run(self) -> None:
        while not self._stopping or not self._done.empty():
            batch = self._next_batch()
            settlements = [self._settlement(held, error) for held, error in batch]
            self._write(batch, settlements)

    def _next_batch(self) -> list[_Done]:
        batch: list[_Done] = []
        entry = self._done.get()
        while True:
            if entry is None:
                self._stopping = True
            else:
                batch.append(entry)
            if len(batch) >= MAX_JOBS:
                return batch
            try:
                entry = self._done.get_nowait()
            except queue.Empty:
                return batch

    def _settlement(self, held: Held, error: JobError | None) -> Settlement:
        claim = held.claim
        try:
            if error is not None:
                raise error
            assert held.job is not None
            result = self._runners[held.model].assemble(held.job, held.items, held.outcomes)
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
        if claim.has_callbacks:
            self._bridge.run_failure_callback(claim.id, failure)
        return failed(claim, failure.failure())

    def _store(self, held: Held, result: Result) -> bytes:
        while True:
            try:
                return self._ledger.store(held.claim, result)
            except ResponseError:
                raise
            except RedisError as error:
                log.warning("cannot store a result, trying again", extra={"error": str(error)})
                time.sleep(0.2)

    def _write(self, batch: Sequence[_Done], settlements: Sequence[Settlement]) -> None:
        """A computed result survives Redis being away: its lease does not run out without a clock."""
        if not batch:
            return
        now = time.monotonic()
        worked_s = sum(now - held.claimed_at for held, _ in batch)
        while True:
            try:
                stale, followups = self._ledger.settle(settlements, worked_s)
                break
            except ResponseError:
                log.exception("Redis refused results")  # the leases run out, the jobs are tried again
                stale, followups = {held.claim.id for held, _ in batch}, []
                break
            except RedisError as error:
                log.warning("cannot write results, trying again", extra={"error": str(error)})
                time.sleep(0.2)
        self._hand.forget(held for held, _ in batch)
        self._after(settlements, stale, followups)

    def _after(self, settlements: Sequence[Settlement], stale: set[str], followups: Sequence[str]) -> None:
        for settlement in settlements:
            if settlement.claim.id not in stale:
                self._rates.count(settlement.claim.queue)
        try:
            if stale:
                self._ledger.discard(each.claim for each in settlements if each.claim.id in stale)
            for job_id in followups:
                self._bridge.enqueue_dependents(job_id)
            for settlement in settlements:
                if settlement.claim.has_callbacks and settlement.claim.id not in stale:
                    self._bridge.send_webhooks(settlement.claim.id)
        except RedisError as error:
            log.warning("follow-ups are left to the next sweep", extra={"error": str(error)})
