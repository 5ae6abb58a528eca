"""The jobs that this worker has claimed and not ended yet."""

import enum
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jobs.job import LANES, Lane
from jobs.store import keys
from workers.queue.execution import Claim
from workers.scheduling.active_job import ActiveJob, Prepared, Status
from workers.scheduling.device_queue import Batch, BatchBudget, DeviceQueue, LaneCapacity, QueuedItem
from workers.scheduling.packing import BatchLimits


class Reason(enum.Enum):
    """Why a job leaves this worker."""

    FINISHED = enum.auto()
    """Its outcome is written, and its lease is gone."""
    CANCELED = enum.auto()
    """Its caller does not want it any more."""
    LEASE_LOST = enum.auto()
    """Another worker has it, or nobody. The same job may have been claimed anew since."""
    WORKER_STOPS = enum.auto()
    """It is given back, unless it is on the device."""
    MODEL_LEAVES = enum.auto()
    """It is given back, unless something has been computed for it."""


def _waits(active: ActiveJob) -> bool:
    return active.status is Status.CLAIMED or active.status is Status.READY


_MAY_LEAVE: Mapping[Reason, Callable[[ActiveJob], bool]] = {
    Reason.FINISHED: lambda active: active.status is Status.FINISHING,
    # What is being written stays: FINISH finds out by itself that the lease is gone.
    Reason.CANCELED: lambda active: active.is_wanted,
    Reason.LEASE_LOST: lambda active: active.is_wanted,
    Reason.WORKER_STOPS: _waits,
    Reason.MODEL_LEAVES: lambda active: _waits(active) and active.is_untouched,
}
"""Whether a job may leave for a reason, by how far it is."""


class InFlight:
    """Shared by all of the worker's threads; one lock guards it and all that it holds.

    The device's thread waits for items (`next_batch`), the claim loop's for capacity (`wait_for_capacity`).
    """

    def __init__(
        self,
        limits: Mapping[str, BatchLimits],
        *,
        starvation_s: float,
        slots: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """limits: of each model's batches. slots: of each generating model, how many answers it writes at a time.

        clock: in seconds; tells how long a lane has starved.
        """
        self.lock = threading.RLock()
        """For a caller that must see several things at one time."""
        self._items_added = threading.Condition(self.lock)
        self._claim_again = threading.Condition(self.lock)
        self._capacity_is_awaited = False
        self._jobs: dict[str, ActiveJob] = {}
        self._queue = DeviceQueue(limits, slots or {}, starvation_s=starvation_s, clock=clock)
        self._order = 0
        self._in_hand: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._jobs)

    # What is here

    def in_hand(self, queue: str) -> int:
        """How many jobs of the queue are here."""
        return self._in_hand[queue]

    def jobs(self) -> list[ActiveJob]:
        """All that are here now."""
        with self.lock:
            return list(self._jobs.values())

    def named(self, job_id: str) -> list[ActiveJob]:
        """The job of that id, if it is here."""
        with self.lock:
            return [self._jobs[job_id]] if job_id in self._jobs else []

    def on_device(self) -> list[ActiveJob]:
        """Those with items on the device."""
        with self.lock:
            return [active for active in self._jobs.values() if active.running]

    def capacity(self, model: str) -> list[LaneCapacity]:
        """What may still be claimed for the model, highest lane first."""
        with self.lock:
            return self._queue.capacity(model, self._jobs.values())

    def add_model(self, model: str, *, limits: BatchLimits | None, slots: int) -> None:
        """Another model. limits: of its batches; None: it generates, and writes `slots` answers at a time."""
        with self.lock:
            self._queue.add_model(model, limits, slots)

    def limit_batches(self, model: str, tokens: int) -> None:
        """From now on batches of the model have so many padded tokens at most."""
        with self.lock:
            self._queue.limit_batches(model, tokens)

    def lanes_of_work(self) -> dict[str, Lane]:
        """The highest lane of each model's jobs here."""
        with self.lock:
            found = {(active.model, active.lane) for active in self._jobs.values()}
        return {model: lane for each in reversed(LANES) for model, lane in found if lane is each}

    # A job's way, in order

    def add(self, claims: Iterable[Claim]) -> list[ActiveJob]:
        """They have been claimed: from now on their leases are renewed."""
        added: list[ActiveJob] = []
        with self.lock:
            for claim in claims:
                parsed = keys.parse_queue_name(claim.queue)
                assert parsed is not None, "only our queues are claimed from"
                _, model, lane = parsed
                if claim.id in self._jobs:  # its lease was lost, and it has come back before that was noticed
                    self._take_out([self._jobs[claim.id]])
                self._order += 1
                active = ActiveJob(claim, model, lane, self._order, self._queue.cost(claim, model))
                self._jobs[claim.id] = active
                self._in_hand[claim.queue] += 1
                self._queue.reserve(active)
                added.append(active)
        return added

    def set_prepared_alone(self, active: ActiveJob) -> None:
        """It is prepared by itself, which may take long: other answers go first."""
        with self.lock:
            active.prepared_alone = True
            self._notify_capacity()

    def make_ready(self, active: ActiveJob, prepared: Prepared) -> None:
        """Its items wait for the device, unless it left or was prepared by another thread meanwhile."""
        with self.lock:
            if active.status is not Status.CLAIMED:
                return
            self._queue.release(active)
            active.make_ready(prepared)
            self._queue.add(active, prepared.items)
            self._notify_capacity()
            self._items_added.notify()

    def next_batch(
        self, timeout_s: float, *, at_least: int = 1, budget: BatchBudget | None = None
    ) -> Batch | None:
        """The next batch for the device; None if not as many items as that came in time, or budget holds no batch."""
        with self.lock:
            if timeout_s and not self._queue:
                self._items_added.wait(timeout_s)
            batch = self._queue.take_batch(at_least, budget)
            if batch is not None:
                self._start(batch.items)
            return batch

    def next_answers(self, model: str, running: Sequence[Lane]) -> list[QueuedItem]:
        """What the generating model begins now, beside running answers of these lanes."""
        with self.lock:
            items = self._queue.take_answers(model, running)
            if items:
                self._start(items)
            return items

    def _start(self, items: Sequence[QueuedItem]) -> None:
        now = time.monotonic()
        for queued in items:
            queued.active.start_item(now)
        self._notify_capacity()

    def preempt(self, items: Iterable[QueuedItem]) -> None:
        """The device has left these answers unfinished: their jobs can be given back."""
        with self.lock:
            for queued in items:
                queued.active.stop_item()

    def record(self, items: Sequence[QueuedItem], outcomes: Sequence[Any]) -> list[ActiveJob]:
        """Note the outcomes of a batch or of answers. Returns the jobs that are complete now, and thus FINISHING."""
        complete: list[ActiveJob] = []
        with self.lock:
            for queued, outcome in zip(items, outcomes, strict=True):
                if queued.active.finish_item(queued.item_index, outcome):
                    queued.active.status = Status.FINISHING
                    complete.append(queued.active)
        return complete

    def begin_finish(self, jobs: Iterable[ActiveJob], *, only_claimed: bool = False) -> list[ActiveJob]:
        """These end before the device is done with them: nothing more of them runs. They keep their leases until their
        outcome is written. Returns those that were still wanted, and with only_claimed those not prepared yet.
        """
        with self.lock:
            ending = [
                active
                for active in jobs
                if active.is_wanted and not (only_claimed and active.status is not Status.CLAIMED)
            ]
            self._free(ending)
            for active in ending:
                active.status = Status.FINISHING
            return ending

    def begin_finish_overdue(self) -> list[ActiveJob]:
        """`begin_finish` for those past their time limit."""
        now = time.monotonic()
        with self.lock:
            return self.begin_finish([active for active in self._jobs.values() if now > active.deadline])

    def remove(self, jobs: Iterable[ActiveJob], reason: Reason) -> list[ActiveJob]:
        """Let these leave, as far as the reason lets them. Returns those that left."""
        may_leave = _MAY_LEAVE[reason]
        with self.lock:
            leaving = [active for active in jobs if may_leave(active)]
            self._take_out(leaving)
            return leaving

    def _take_out(self, leaving: Sequence[ActiveJob]) -> None:
        self._free(leaving)
        for active in leaving:
            active.status = Status.REMOVED
            del self._jobs[active.claim.id]
            self._in_hand[active.claim.queue] -= 1

    def _free(self, jobs: Sequence[ActiveJob]) -> None:
        """Nothing of these waits any more, to be prepared or for the device."""
        prepared: list[ActiveJob] = []
        for active in jobs:
            if active.status is Status.CLAIMED:
                self._queue.release(active)
            elif active.is_wanted:
                prepared.append(active)
        self._queue.remove(prepared)
        if jobs:
            self._notify_capacity()

    # Waking each other

    def wake_device(self) -> None:
        """Its thread waits for items, and there is other work for it."""
        with self.lock:
            self._items_added.notify()

    def wake_claim_loop(self) -> None:
        """Its thread waits for capacity, and is to look again at whether it should claim."""
        with self.lock:
            self._claim_again.notify_all()

    def wait_for_capacity(self, timeout_s: float, *, is_awaited: bool) -> None:
        """Until `wake_claim_loop` is called, or the time is over. is_awaited: also until there is more capacity."""
        with self.lock:
            self._capacity_is_awaited = is_awaited
            self._claim_again.wait(timeout_s)
            self._capacity_is_awaited = False

    def _notify_capacity(self) -> None:
        if self._capacity_is_awaited:
            self._claim_again.notify()
