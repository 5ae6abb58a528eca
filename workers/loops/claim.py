"""Claims jobs and has them prepared, so that the next batch is ready when the device asks for it."""

import enum
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec import MsgspecError
from redis.exceptions import RedisError

from jobs.job import LANES
from jobs.store import keys, record
from workers.loops.prepare import PreparePool
from workers.loops.wakeup import POLL_S, WakeupListener
from workers.models.model_cache import ModelCache
from workers.models.swap import ModelSwap
from workers.queue.client import SUSPECTS_AT_ONCE, BrokenStream, WorkerQueue
from workers.queue.execution import Claims, QueueCapacity
from workers.queue.fleet import Fleet
from workers.scheduling.active_job import ActiveJob
from workers.scheduling.in_flight import InFlight, Reason

log = logging.getLogger(__name__)

MAX_CLAIM = 100
"""Jobs in one CLAIM, for the same reason as MAX_JOBS in result.py."""

SWAP_POLL_S = 0.1
"""While work waits for a model that is not in memory: time alone can change which models are to come and go."""

LEFT_S = 0.2
"""So long a worker that has its part of a queue leaves the rest to the others. Then it counts half as many of them:
they may hang, or be full.
"""

ASK_AGAIN_S = 0.02
"""After so long it asks whether its part has grown: more may have come."""

SUSPECTS_TURN_S = 0.5
"""So long suspects are begun in one turn, for which the worker has let its hand become empty. Then come fresh jobs."""

RETRY_S = 0.2
"""Between two tries while Redis is away."""


class _Left(NamedTuple):
    """A queue whose rest is left to other workers."""

    until: float
    """By time.monotonic."""
    ask_at: float
    """When it asks whether its part has grown."""
    in_hand: int
    """Jobs of it that were here then. With fewer, there is a part to take again."""
    workers: int
    """So many are counted."""


class _Turn(enum.Enum):
    """How far this worker's turn to run suspects is."""

    NONE = enum.auto()
    BEGUN = enum.auto()
    """It claims nothing until its hand is empty."""
    TAKEN = enum.auto()
    """They run."""


class ClaimLoop:
    """Runs in a thread of its own, and starts a second one, in which the WakeupListener blocks on Redis."""

    def __init__(
        self,
        in_flight: InFlight,
        queue: WorkerQueue,
        fleet: Fleet,
        model_cache: ModelCache,
        prepare_pool: PreparePool,
        is_suspended: Callable[[], bool],
    ) -> None:
        """is_suspended: whether nothing is to be claimed: `rq suspend`, or a Redis that would not take the results."""
        self._in_flight = in_flight
        self._queue = queue
        self._model_cache = model_cache
        self._prepare_pool = prepare_pool
        self._is_suspended = is_suspended
        self._wakeup = WakeupListener(in_flight, queue, self._marker_count)
        self._swap = ModelSwap(in_flight, queue, fleet, model_cache)
        self._stopping = False
        self._backlog: frozenset[str] = frozenset()
        """Queues that may have work."""
        self._reported: frozenset[str] = frozenset()
        """Queues that had work left after the last CLAIM."""
        self._turn = _Turn.NONE
        self._turn_ends_at = 0.0
        """By time.monotonic: from then on no further suspects are begun in this turn."""
        self._left: dict[str, _Left] = {}
        """Queues of which this worker has its part, and which others may take the rest of."""
        self._newer: Mapping[str, int] = {}
        """Queues that wait for a worker of a later version."""

    def stop(self) -> None:
        self._stopping = True
        self._wakeup.stop()

    def run(self) -> None:
        threading.Thread(target=self._wakeup.run, name="wakeup", daemon=True).start()
        while not self._stopping:
            try:
                if self._is_suspended() or not self._claim():
                    self._wakeup.wait(self._markers, self._may_claim, self._poll_s)
            except RedisError as error:
                self._queue.outage.note(error)
                time.sleep(RETRY_S)
        self._swap.stop()

    # Claiming

    def _claim(self) -> bool:
        """Claim once. Whether it is worth doing again at once."""
        self._swap.advance(self._reported)
        if self._turn is _Turn.NONE:
            return self._claim_fresh()
        # Suspects (jobs that were in a worker at two deaths) run apart from others, so that the next deaths show which
        # of them is at fault. One worker at a time has the turn to run some, and claims nothing else meanwhile.
        if len(self._in_flight):
            return False
        if self._turn is _Turn.BEGUN:
            self._turn_ends_at = time.monotonic() + SUSPECTS_TURN_S
        elif time.monotonic() >= self._turn_ends_at:
            self._turn = _Turn.NONE
            return self._claim_fresh()
        return self._claim_suspects()

    def _claim_fresh(self) -> bool:
        capacities = self._capacities()
        taken = self._queue.claim(capacities, max_jobs=MAX_CLAIM, is_idle=not len(self._in_flight))
        self._backlog = self._reported = taken.backlog
        if taken.has_turn:
            self._turn = _Turn.BEGUN
        self._note_newer(taken.newer)
        self._take(taken)
        self._note_left(taken.left_to_others & taken.backlog, capacities)
        # Where nothing was left, whatever comes leaves a marker.
        return bool(taken.claims and taken.backlog) or taken.is_cut_short or taken.has_turn

    def _note_left(self, queues: frozenset[str], capacities: Sequence[QueueCapacity]) -> None:
        asked = {each.queue for each in capacities if each.tokens > 0 and each.jobs > 0}
        left = {queue: each for queue, each in self._left.items() if queue not in asked}
        now = time.monotonic()
        for each in capacities:
            if each.queue in queues:
                left[each.queue] = self._next_left(self._left.get(each.queue), each, now)
        self._left = left

    def _next_left(self, before: _Left | None, capacity: QueueCapacity, now: float) -> _Left:
        """What follows when this worker still has its part. capacity: what it asked for."""
        in_hand = self._in_flight.in_hand(capacity.queue)
        until, workers = now + LEFT_S, capacity.workers
        if before is not None and in_hand <= before.in_hand:  # it got nothing
            if now < before.until:
                until = before.until
            else:
                workers //= 2
        return _Left(until, now + ASK_AGAIN_S, in_hand, workers)

    def _note_newer(self, newer: Mapping[str, int]) -> None:
        """Once for each queue and version: the worker has to be upgraded."""
        for queue, version in newer.items():
            if self._newer.get(queue) != version:
                fields = {"queue": queue, "version": version, "known": record.VERSION}
                log.warning("a queue waits for a worker of a later version", extra=fields)
        self._newer = newer

    def _claim_suspects(self) -> bool:
        capacities = [each for each in self._capacities() if each.jobs > 0]
        taken = self._queue.claim(capacities, max_jobs=SUSPECTS_AT_ONCE, suspect=True)
        self._turn = _Turn.TAKEN
        if not taken.claims:
            self._turn_ends_at = 0.0
        self._take(taken)
        return not taken.claims

    def _take(self, taken: Claims) -> None:
        """What is claimed is prepared in other threads: this one only claims."""
        if taken.begins_lease:
            for active in self._in_flight.remove(self._in_flight.jobs(), Reason.LEASE_LOST):
                log.warning("lease lost", extra={"job_id": active.claim.id})
        active_jobs = self._in_flight.add(taken.claims)
        for active in active_jobs:
            if active.claim.published:
                self._resume(active)
        self._prepare_pool.add(active_jobs)

    def _resume(self, active: ActiveJob) -> None:
        while True:
            try:
                active.resume_from(self._queue.published(active.claim))
                return
            except (BrokenStream, MsgspecError, KeyError):
                log.error(
                    "the log of a stream has a gap or cannot be read", extra={"job_id": active.claim.id}
                )
                active.stream_is_broken = True
                return
            except RedisError as error:
                if self._stopping:
                    raise
                self._queue.outage.note(error)
                time.sleep(RETRY_S)

    # What to wait for

    def _capacities(self) -> list[QueueCapacity]:
        """Of all queues; no jobs where the model is not in memory."""
        found: list[QueueCapacity] = []
        for model, runner in self._model_cache.runners.items():
            serves = self._model_cache.serves(model)
            workers = self._model_cache.workers(model)
            for lane, tokens, jobs in self._in_flight.capacity(model):
                for task in runner.info.tasks:
                    queue = keys.queue_name(task, model, lane)
                    found.append(self._capacity(queue, tokens, jobs if serves else 0, workers))
        return found

    def _capacity(self, queue: str, tokens: int, jobs: int, workers: int) -> QueueCapacity:
        """None while others may take the rest of the queue."""
        in_hand = self._in_flight.in_hand(queue)
        if left := self._left.get(queue):
            workers = min(workers, left.workers)
            if time.monotonic() < left.ask_at and in_hand >= left.in_hand:
                tokens = 0
        return QueueCapacity(queue, tokens, jobs, in_hand, workers)

    def _may_claim(self) -> bool:
        """Whether there is work that is known of, and capacity for it."""
        if self._is_suspended():
            return False
        if self._swap.is_due(self._reported):
            return True
        if self._turn is not _Turn.NONE:
            return not len(self._in_flight)
        return any(
            each.queue in self._backlog and each.tokens > 0 and each.jobs > 0 for each in self._capacities()
        )

    def _markers(self) -> list[str]:
        """Those worth waking for: of the queues there is capacity for, and of models that are not in memory, until work
        for them is known of. A marker that is taken by a worker without capacity does not wake another worker.
        """
        if self._is_suspended() or self._turn is not _Turn.NONE:
            return []
        capacities = self._capacities()
        wanted = {each.queue for each in capacities if each.tokens > 0 and each.jobs > 0}
        if not self._model_cache.is_settled:
            wanted |= self._queues_of_missing_models() - self._reported
        # The other queues may get work without a wake-up, so they are asked as soon as there is capacity for them.
        self._backlog |= {each.queue for each in capacities} - wanted
        return [keys.wake(queue) for queue in wanted]

    def _marker_count(self) -> int:
        """Of all queues."""
        return len(LANES) * sum(len(runner.info.tasks) for runner in self._model_cache.runners.values())

    def _queues_of_missing_models(self) -> set[str]:
        return {
            keys.queue_name(task, model, lane)
            for model, runner in self._model_cache.runners.items()
            if not self._model_cache.serves(model) and not self._model_cache.is_refused(model)
            for task in runner.info.tasks
            for lane in LANES
        }

    def _poll_s(self) -> float:
        return SWAP_POLL_S if self._model_cache.is_awaited else ASK_AGAIN_S if self._left else POLL_S
