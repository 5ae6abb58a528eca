"""Turns outcomes into results and writes them back, many jobs in one FINISH."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeVar

from msgspec.structs import replace
from redis.exceptions import RedisError

from jobs.embed import EmbedResult
from jobs.errors import InternalError, JobError, JobStopped
from jobs.generate import GenerateResult
from jobs.job import Lane, Result
from jobs.store import record
from jobs.store.outage import cause_of, is_defect
from workers.loops.callbacks import FollowUps, TaskThreads
from workers.models.model_cache import ModelCache
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome, failed
from workers.queue.rq_bridge import RqBridge
from workers.scheduling.active_job import ActiveJob
from workers.scheduling.in_flight import InFlight, Reason

log = logging.getLogger(__name__)

MAX_JOBS = 32
"""Jobs in one FINISH, which takes Redis 30 to 90 µs for each: a script of three milliseconds stays below twenty also
where the processor is taken from Redis in its middle.
"""

MAX_BYTES = 1 << 20
"""Of results in one FINISH."""

LARGE_ITEMS = 64
"""A job with more takes long to assemble and to store: others that have ended do not wait for it."""

MAX_REFUSALS = 50
"""Ten seconds of a Redis that refuses a command for no cause that may pass."""

RETRY_S = 0.2
"""Between two tries while Redis is away or full."""

GIVE_UP_S = 10
"""How long a worker that is to stop waits for Redis to take its results."""

STOPPING_POLL_S = 0.1
"""Between two looks, in a worker that is to stop, at whether callbacks have returned."""

RATE_WINDOW_S = 10.0
"""Time constant of the average of drain rates."""

_T = TypeVar("_T")


class _Ended(NamedTuple):
    """A job that has come to its end."""

    active: ActiveJob
    end: Result | JobError | None
    """None: its result is to be made from the outcomes of its items."""


class _Decided(NamedTuple):
    """A job whose outcome is to be written."""

    active: ActiveJob
    outcome: Outcome | Exception
    """The error: of a Redis that refuses for no cause that may pass."""


class ResultLoop:
    """Runs in a thread of its own, until stopped and empty. Other threads hand it jobs that are FINISHING."""

    def __init__(
        self,
        in_flight: InFlight,
        queue: WorkerQueue,
        model_cache: ModelCache,
        bridge: RqBridge,
    ) -> None:
        self._in_flight = in_flight
        self._queue = queue
        self._model_cache = model_cache
        self._bridge = bridge
        self._ended: SimpleQueue[_Ended | _Decided | None] = SimpleQueue()
        """None: only the flags have changed."""
        self._callbacks = TaskThreads("callback")
        self._follow_ups = FollowUps(queue, bridge)
        self._in_callbacks: dict[str, ActiveJob] = {}
        """Jobs whose callbacks wait or run, by their executions."""
        self._stopping = False
        self._give_up_at = float("inf")
        self.drain_rates = DrainRates()
        self.all_written = threading.Event()
        """Stopped, and nothing is left to write."""

    def complete(self, active: ActiveJob) -> None:
        """All outcomes of the job's items are there."""
        self._ended.put(_Ended(active, None))

    def fail(self, active: ActiveJob, error: JobError) -> None:
        """The job failed as a whole."""
        self._ended.put(_Ended(active, error))

    def end(self, active: ActiveJob, result: Result) -> None:
        """The job needed no device: this is its result."""
        self._ended.put(_Ended(active, result))

    def sweep(self) -> None:
        """Follow up the jobs that ended without a worker, or whose worker did not come to it."""
        self._follow_ups.sweep()

    def stop(self) -> None:
        """Write what is there, then end; a little later if Redis is away."""
        self._give_up_at = time.monotonic() + GIVE_UP_S
        self._stopping = True
        self._ended.put(None)

    def load_wait_s(self, active: ActiveJob) -> float:
        """How long the job waited for its model to be loaded. 0 where RQ made its id: that does not say since when."""
        submitted_at = record.created_at(active.claim.id)
        return 0.0 if submitted_at is None else self._model_cache.load_wait_s(active.model, submitted_at)

    def run(self) -> None:
        while not self._is_done():
            small, large = _parted(self._next_batch())
            for part in (small, large[:1]):
                for decided in in_parts(self._decide(part)):
                    self._write(decided)
            for each in large[1:]:  # jobs that have ended meanwhile are written before them
                self._ended.put(each)
        self._give_back_in_callbacks()
        self._follow_ups.wait(self._give_up_at)
        self.all_written.set()

    def _is_done(self) -> bool:
        if not self._stopping or not self._ended.empty():
            return False
        return not self._in_callbacks or time.monotonic() > self._give_up_at

    def _next_batch(self) -> list[_Ended | _Decided]:
        batch: list[_Ended | _Decided] = []
        try:
            ended = self._ended.get(timeout=STOPPING_POLL_S if self._stopping else None)
            while True:
                if ended is not None:
                    batch.append(ended)
                if len(batch) >= MAX_JOBS:
                    return batch
                ended = self._ended.get_nowait()
        except Empty:
            return batch

    def _decide(self, batch: Sequence[_Ended | _Decided]) -> list[_Decided]:
        """What is to be written now. Jobs with callbacks come back when these have run."""
        decided: list[_Decided] = []
        for each in batch:
            if isinstance(each, _Decided):
                self._in_callbacks.pop(each.active.claim.member, None)
                decided.append(each)
            elif each.active.claim.has_callbacks:
                self._in_callbacks[each.active.claim.member] = each.active
                self._callbacks.submit(lambda ended=each: self._ended.put(self._decide_after_callback(ended)))
            else:
                decided.append(_Decided(each.active, self._outcome(each.active, each.end)))
        return decided

    def _decide_after_callback(self, ended: _Ended) -> _Decided:
        try:
            return _Decided(ended.active, self._outcome(ended.active, ended.end))
        except Exception as error:  # noqa: BLE001  # raised by the thread that writes
            return _Decided(ended.active, error)

    def _give_back_in_callbacks(self) -> None:
        """The worker stops, and their callbacks do not return: another worker runs them again."""
        if self._in_callbacks:
            claims = [active.claim for active in self._in_callbacks.values()]
            log.warning("callbacks do not return, their jobs are given back", extra={"jobs": len(claims)})
            self._retry(lambda: self._queue.release(claims))

    def _outcome(self, active: ActiveJob, end: Result | JobError | None) -> Outcome:
        claim = active.claim
        try:
            if isinstance(end, JobError):
                raise end
            result = self._with_load_time(active, end or self._assemble(active))
            stored = self._retry(lambda: self._queue.store(claim, result))  # too large a result is no success
            if claim.has_callbacks:
                job = self._retry(lambda: self._bridge.fetch(claim.id))
                self._bridge.run_success_callback(job, result)
            return Outcome(claim, "finished", claim.result_ttl_s, stored, events=active.events)
        except JobError as raised:
            return self._failed(active, raised)
        except RedisError as raised:
            if not is_defect(raised):  # given up because the worker stops: the job is not at fault
                raise
            log.error("result cannot be written", extra={"job_id": claim.id, "cause": cause_of(raised)})
            return self._failed(active, InternalError())
        except Exception as raised:
            log.exception("job failed", extra={"job_id": claim.id})
            failure = InternalError()
            failure.__cause__ = raised
            return self._failed(active, failure)

    def _assemble(self, active: ActiveJob) -> Result:
        assert active.prepared is not None, "its items have run"
        job, items, outcomes = active.prepared
        return self._model_cache.runner(active.model).assemble(job, items, outcomes)

    def _with_load_time(self, active: ActiveJob, result: Result) -> Result:
        """Rankings have no such field."""
        if not isinstance(result, GenerateResult | EmbedResult):
            return result
        load_s = self.load_wait_s(active)
        return replace(result, load_s=load_s) if load_s else result

    def _failed(self, active: ActiveJob, failure: JobError) -> Outcome:
        claim = active.claim
        delay_s = next_delay_s(failure, claim.retries_left, claim.retry_delays_s)
        if delay_s is not None:
            return Outcome(claim, "retry", delay_s)
        stopped = isinstance(failure, JobStopped)
        if claim.has_callbacks and stopped:
            self._bridge.run_stopped_callback(claim.id)
        elif claim.has_callbacks:
            self._bridge.run_failure_callback(claim.id, failure)
        return failed(claim, failure.failure(), "stopped" if stopped else "failed")

    def _write(self, decided: Sequence[_Decided]) -> None:
        outcomes: list[Outcome] = []
        for each in decided:
            if isinstance(each.outcome, Exception):
                raise each.outcome
            outcomes.append(each.outcome)
        active_jobs = [each.active for each in decided]
        now = time.monotonic()
        worked_s = sum(now - active.claimed_at for active in active_jobs)
        stale, followups = self._retry(lambda: self._queue.finish(outcomes, worked_s))
        for model, lane, keep_alive_s in _uses(active_jobs):
            self._model_cache.touch(model, lane, keep_alive_s)
        self._in_flight.remove(active_jobs, Reason.FINISHED)
        for outcome in outcomes:
            if outcome.claim.member not in stale:
                self.drain_rates.count(outcome.claim.queue)
        self._follow_ups.see_to(followups)

    def _retry(self, write: Callable[[], _T]) -> _T:
        """Redis away or full: a computed result waits for it. Its lease is renewed meanwhile, or runs out in Redis.

        Raises RedisError when the worker stops and Redis stays away, or when it keeps refusing for another cause than
        that it takes no writes: that is a defect.
        """
        try:
            return write()
        except RedisError as error:
            return self._keep_trying(write, error)

    def _keep_trying(self, write: Callable[[], _T], error: RedisError) -> _T:
        refused = 0
        with self._queue.outage.holding() as hold:
            while True:
                refused += is_defect(error)
                if refused > MAX_REFUSALS or time.monotonic() > self._give_up_at:
                    raise error
                hold.note(error)
                time.sleep(RETRY_S)
                try:
                    return write()
                except RedisError as again:
                    error = again


def _uses(active_jobs: Sequence[ActiveJob]) -> Iterator[tuple[str, Lane, float | None]]:
    """Each model, lane and keep-alive time of these jobs once, in the order of their last ones."""
    uses = [(active.model, active.lane, active.keep_alive_s) for active in active_jobs]
    return reversed(dict.fromkeys(reversed(uses)))


def in_parts(decided: Sequence[_Decided]) -> Iterator[list[_Decided]]:
    """The same in lists, each of which is enough for one FINISH."""
    part: list[_Decided] = []
    size_bytes = 0
    for each in decided:
        more_bytes = len(each.outcome.stored) if isinstance(each.outcome, Outcome) else 0
        if part and size_bytes + more_bytes > MAX_BYTES:
            yield part
            part, size_bytes = [], 0
        part.append(each)
        size_bytes += more_bytes
    if part:
        yield part


def next_delay_s(error: JobError, retries_left: int, delays_s: Sequence[float]) -> float | None:
    """Seconds until a failed run is tried again, None for no further try.

    delays_s: one per retry, the last one repeated, as in RQ's Retry(max, interval) (rq/job.py: get_retry_interval).
    """
    if retries_left <= 0 or not error.retryable:
        return None
    if not delays_s:
        return 0.0
    return delays_s[max(len(delays_s) - retries_left, 0)]


class DrainRates:
    """How fast queues drain: jobs per second, averaged exponentially. Counted by one thread, read by another.

    Retry-After and /v1/queue/stats are computed from it.
    """

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._rates: dict[str, float] = {}
        self._read_at = time.monotonic()

    def count(self, queue: str) -> None:
        self._counted[queue] += 1

    def read(self) -> dict[str, float]:
        """The rates now; queues at rest fade out."""
        now = time.monotonic()
        elapsed_s, self._read_at = max(1e-6, now - self._read_at), now
        counted, self._counted = self._counted, Counter()
        weight = 1 - math.exp(-elapsed_s / RATE_WINDOW_S)
        for queue in {*self._rates, *counted}:
            fresh = counted[queue] / elapsed_s
            old = self._rates.get(queue, fresh)
            self._rates[queue] = old + weight * (fresh - old)
        self._rates = {queue: rate for queue, rate in self._rates.items() if rate > 0.001}
        return dict(self._rates)


def _parted(batch: Sequence[_Ended | _Decided]) -> tuple[list[_Ended | _Decided], list[_Ended | _Decided]]:
    """The small ones, and the large ones."""
    small: list[_Ended | _Decided] = []
    large: list[_Ended | _Decided] = []
    for each in batch:
        prepared = each.active.prepared
        is_large = isinstance(each, _Ended) and prepared is not None and len(prepared.items) > LARGE_ITEMS
        (large if is_large else small).append(each)
    return small, large
