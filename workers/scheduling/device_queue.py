"""The queue before the device, which is bounded: how much more of each lane may be claimed, and what runs next."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from jobs.job import LANES, Lane
from workers.queue.execution import Claim
from workers.scheduling.active_job import ActiveJob
from workers.scheduling.packing import BatchLimits, ModelLane, choose_queue, pack

RESERVED = 4
"""A quarter of the answers written at a time is kept for the interactive lane."""

POOL_BATCHES = 4
"""Work claimed ahead, in batches: enough to sort by length, little enough to leave other workers their share."""

MAX_JOBS = 1024
"""Jobs of each lane here at once, whatever their size: a flood in one lane leaves the others their places."""

CLAIMED_AHEAD = 4
"""A generating model's worker has a quarter more jobs than it writes answers: the next one is tokenised already."""

LARGE_SHARE = 8
"""A large job counts as an eighth of a batch until it is prepared: others must not wait for it."""

MAX_WAITING_ALONE = 64
"""Jobs of a lane that wait to be prepared by themselves for a generating model (large ones, and those with grammars).
They take no answer's place until they are."""

UNLIMITED_TOKENS = 1 << 30
"""Generating models are claimed for by jobs, not by tokens."""


class QueuedItem(NamedTuple):
    """An item that waits for the device, or is on it."""

    length: int
    """Its tokens."""
    order: int
    """Smaller was claimed earlier."""
    lane: Lane
    active: ActiveJob
    """The job that it belongs to."""
    item_index: int
    """Which of the job's items it is."""
    item: Any
    """What the runner takes (workers.runners.contract.Item)."""


class Batch(NamedTuple):
    """Items that run together."""

    model: str
    items: list[QueuedItem]
    """Shortest first."""

    @property
    def padded_tokens(self) -> int:
        """Tokens that the device computes: each item is as long as the longest."""
        return self.items[-1].length * len(self.items)


class BatchBudget(Protocol):
    """What a batch may cost just now (workers.scheduling.token_budget.TokenBudget)."""

    def tokens(self, model: str) -> int:
        """The most padded tokens of a batch."""
        ...

    def admits(self, model: str, length: int) -> bool:
        """Whether an item with more tokens may run alone all the same."""
        ...


class LaneCapacity(NamedTuple):
    """What may still be claimed of a model's jobs in one lane. Neither is positive where nothing may be."""

    lane: Lane
    tokens: int
    jobs: int


def _slots_of(lane: Lane, slots: int) -> int:
    """How many answers may be running when one of this lane begins, of a model that writes so many at a time."""
    return slots if lane is Lane.INTERACTIVE else max(1, slots - slots // RESERVED)


class DeviceQueue:
    """By model and lane: the items that are ready, and the tokens that jobs take up before they are prepared.

    `InFlight` owns it and guards it by its lock.
    """

    def __init__(
        self,
        limits: Mapping[str, BatchLimits],
        slots: Mapping[str, int],
        *,
        starvation_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """limits: of each model's batches. slots: of each generating model, how many answers it writes at a time.

        clock: in seconds; tells how long a lane has starved.
        """
        self._limits = dict(limits)
        self._slots = slots
        self._starvation_s = starvation_s
        self._clock = clock
        self._items: dict[ModelLane, list[QueuedItem]] = {
            (model, lane): [] for model in (*limits, *slots) for lane in LANES
        }
        self._reserved = dict.fromkeys(self._items, 0)
        """Tokens of jobs that are not prepared yet."""
        self._served_at = dict.fromkeys(self._items, 0.0)

    def __len__(self) -> int:
        return sum(map(len, self._items.values()))

    def __bool__(self) -> bool:
        return any(self._items.values())

    def limit_batches(self, model: str, tokens: int) -> None:
        """From now on batches of the model have so many padded tokens at most."""
        self._limits[model] = self._limits[model]._replace(tokens=tokens)

    # What may be claimed

    def cost(self, claim: Claim, model: str) -> int:
        """Tokens that the job takes up until it is prepared."""
        if claim.data is None and model in self._limits:
            return min(claim.cost, self._limits[model].tokens // LARGE_SHARE)
        return claim.cost

    def reserve(self, active: ActiveJob) -> None:
        """It has been claimed."""
        self._reserved[active.model, active.lane] += active.cost

    def release(self, active: ActiveJob) -> None:
        """It has been prepared, or never will be."""
        self._reserved[active.model, active.lane] -= active.cost

    def capacity(self, model: str, jobs: Collection[ActiveJob]) -> list[LaneCapacity]:
        """What may still be claimed for a model, highest lane first. jobs: all that are here.

        Lower lanes take no capacity that higher ones use. But a lane with nothing here always has capacity for half a
        batch: it must get its turn.
        """
        if model in self._slots:
            return self._free_slots(model, jobs)
        here = Counter(active.lane for active in jobs)
        batch_tokens = self._limits[model].tokens
        free = batch_tokens * POOL_BATCHES
        found: list[LaneCapacity] = []
        for lane in LANES:
            taken = self._reserved[model, lane] + sum(queued.length for queued in self._items[model, lane])
            free -= taken
            tokens = free if taken else max(free, batch_tokens // 2)
            found.append(LaneCapacity(lane, tokens, MAX_JOBS - here[lane]))
        return found

    def _free_slots(self, model: str, jobs: Collection[ActiveJob]) -> list[LaneCapacity]:
        slots = self._slots[model]
        mine = [active for active in jobs if active.model == model]
        waiting = Counter(active.lane for active in mine if active.waits_alone)
        taken = sum(active.answers for active in mine if not active.waits_alone)
        ahead = max(1, slots // CLAIMED_AHEAD)
        found: list[LaneCapacity] = []
        is_open = True
        for lane in LANES:  # one with too many is closed, and with it those that are prepared after it
            is_open = is_open and waiting[lane] < MAX_WAITING_ALONE
            free = _slots_of(lane, slots) + ahead - taken
            found.append(LaneCapacity(lane, UNLIMITED_TOKENS, free) if is_open else LaneCapacity(lane, 0, 0))
        return found

    # What is ready

    def add(self, active: ActiveJob, items: Sequence[Any]) -> None:
        """The items of a job have been prepared."""
        key = active.model, active.lane
        waiting = self._items[key]
        if not waiting:  # a lane that was empty does not starve
            self._served_at[key] = self._clock()
        waiting += [
            QueuedItem(item.length, active.order, active.lane, active, n, item)
            for n, item in enumerate(items)
        ]

    def remove(self, jobs: Collection[ActiveJob]) -> None:
        """Take out all items of these jobs."""
        if not jobs:
            return
        gone = {id(active) for active in jobs}
        for key, waiting in self._items.items():
            self._items[key] = [queued for queued in waiting if id(queued.active) not in gone]

    def take_batch(self, at_least: int, budget: BatchBudget | None) -> Batch | None:
        """The next batch. None if fewer items than that wait, or the budget holds no batch."""
        if (
            sum(len(waiting) for (model, _), waiting in self._items.items() if model in self._limits)
            < at_least
        ):
            return None
        chosen_queue = self._choose()
        if chosen_queue is None:
            return None
        model, lane = chosen_queue
        waiting = [queued for each in LANES for queued in self._items[model, each]]
        limits = self._limits[model]
        if budget is not None:
            limits = limits._replace(tokens=min(limits.tokens, budget.tokens(model)))
        items = [waiting[n] for n in pack(waiting, lane, limits)]
        longest = items[-1].length
        if budget is not None and longest > limits.tokens and not budget.admits(model, longest):
            return None
        self._take_out(model, items)
        return Batch(model, items)

    def take_answers(self, model: str, running: int) -> list[QueuedItem]:
        """What a generating model begins beside so many running answers: highest lane first."""
        chosen: list[QueuedItem] = []
        for lane in LANES:
            free = _slots_of(lane, self._slots[model]) - running - len(chosen)
            waiting = sorted(self._items[model, lane], key=lambda queued: queued.order)
            chosen += waiting[: max(0, free)]
        self._take_out(model, chosen)
        return chosen

    def _choose(self) -> ModelLane | None:
        now = self._clock()
        oldest = {
            (model, lane): min(queued.order for queued in waiting)
            for (model, lane), waiting in self._items.items()
            if waiting and model in self._limits
        }
        unserved_s = {each: now - self._served_at[each] for each in oldest}
        return choose_queue(oldest, unserved_s, self._starvation_s)

    def _take_out(self, model: str, items: Sequence[QueuedItem]) -> None:
        now = self._clock()
        taken = {id(queued) for queued in items}
        for lane in {queued.lane for queued in items}:
            self._items[model, lane] = [each for each in self._items[model, lane] if id(each) not in taken]
            self._served_at[model, lane] = now
