"""The queue before the device, which is bounded: how much more of each lane may be claimed, and what runs next."""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from jobs.job import LANES, Lane
from workers.queue.execution import Claim
from workers.scheduling.active_job import ActiveJob
from workers.scheduling.packing import BatchLimits, Candidate, ModelLane, choose_leader, pack

RESERVED = 4
"""A quarter of the answers written at a time is kept for the interactive lane."""

POOL_BATCHES = 4
"""Work claimed ahead, in batches: enough to sort by length, little enough to leave other workers their share."""

MAX_JOBS = 1024
"""Jobs of each lane here at once, whatever their size: a flood in one lane leaves the others their places."""

CLAIMED_AHEAD = 4
"""A generating model's worker has a quarter more jobs than it writes answers: the next one is tokenised already."""

LARGE_SHARE = 8
"""A job counts as an eighth of a batch or of the answers at most: a large one leaves room to claim others."""

WINDOW = 2
"""So many batches of a job's items are looked at: the next one is packed of them, and of other jobs' items."""

KEPT_FOR_OTHERS = 8
"""An eighth of the answers written at a time is kept for other jobs than the one that has all the rest."""

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


class _JobItems:
    """The items of one job that wait."""

    def __init__(self, active: ActiveJob, items: Sequence[Any], limits: BatchLimits | None) -> None:
        """limits: of a batch; None for answers. A large job goes on in slices of equally long items, and not in the
        order of its inputs.
        """
        self.active = active
        self.items = [
            QueuedItem(item.length, active.order, active.lane, active, n, item)
            for n, item in enumerate(items)
        ]
        self.tokens = sum(queued.length for queued in self.items)
        self.led = 0
        """The number of the batch that one of them last led."""
        self.is_small = True
        """A batch holds all of them, and none has led one."""
        if limits is not None:
            self.items.sort(key=lambda queued: queued.length)
            self.is_small = len(items) == 1 or (len(items) <= limits.items and self.tokens <= limits.tokens)

    def window(self, limits: BatchLimits) -> list[QueuedItem]:
        """As many as make up the next batches, however many there are."""
        if self.tokens < WINDOW * limits.tokens and len(self.items) <= WINDOW * limits.items:
            return self.items
        tokens = 0
        for n, queued in enumerate(self.items[: WINDOW * limits.items]):
            tokens += queued.length
            if tokens >= WINDOW * limits.tokens:
                return self.items[: n + 1]
        return self.items[: WINDOW * limits.items]

    def take(self, taken: Collection[int]) -> None:
        """taken: of which items, by their ids."""
        self.items = [queued for queued in self.items if id(queued) not in taken]
        self.tokens = sum(queued.length for queued in self.items)


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
        self._slots = dict(slots)
        self._starvation_s = starvation_s
        self._clock = clock
        self._waiting: dict[ModelLane, dict[int, _JobItems]] = {
            (model, lane): {} for model in (*limits, *slots) for lane in LANES
        }
        """By the job's order; none is empty."""
        self._reserved = dict.fromkeys(self._waiting, 0)
        """Tokens of jobs that are not prepared yet."""
        self._served_at = dict.fromkeys(self._waiting, 0.0)
        self._batches = 0
        """How many were taken."""
        self._small_turns = dict.fromkeys(LANES, 0)
        """So many batches in a row were led by small jobs of a lane, while larger ones waited."""

    def __len__(self) -> int:
        return sum(len(each.items) for waiting in self._waiting.values() for each in waiting.values())

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def add_model(self, model: str, limits: BatchLimits | None, slots: int) -> None:
        """Another model, or again one that was here. limits: None for one that generates."""
        if limits is None:
            self._slots[model] = slots
        else:
            self._limits[model] = limits
        for lane in LANES:
            self._waiting.setdefault((model, lane), {})
            self._reserved.setdefault((model, lane), 0)
            self._served_at.setdefault((model, lane), 0.0)

    def limit_batches(self, model: str, tokens: int) -> None:
        """From now on batches of the model have so many padded tokens at most."""
        self._limits[model] = self._limits[model]._replace(tokens=tokens)

    # What may be claimed

    def cost(self, claim: Claim, model: str) -> int:
        """Tokens that the job takes up until it is prepared."""
        return min(claim.cost, self._most_of_one(model)) if model in self._limits else claim.cost

    def _most_of_one(self, model: str) -> int:
        return max(1, self._limits[model].tokens // LARGE_SHARE)

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
        lanes = [active.lane for active in jobs]
        batch_tokens, most = self._limits[model].tokens, self._most_of_one(model)
        free = batch_tokens * POOL_BATCHES
        found: list[LaneCapacity] = []
        for lane in LANES:
            ready = sum(min(each.tokens, most) for each in self._waiting[model, lane].values())
            taken = self._reserved[model, lane] + ready
            free -= taken
            tokens = free if taken else max(free, batch_tokens // 2)
            found.append(LaneCapacity(lane, tokens, MAX_JOBS - lanes.count(lane)))
        return found

    def _free_slots(self, model: str, jobs: Collection[ActiveJob]) -> list[LaneCapacity]:
        """A lane of which nothing waits here always has room for a job: it must get its turn."""
        slots = self._slots[model]
        most = max(1, slots // LARGE_SHARE)
        mine = [active for active in jobs if active.model == model]
        alone = Counter(active.lane for active in mine if active.waits_alone)
        waiting = {active.lane for active in mine if active.waits and not active.waits_alone}
        taken = sum(min(active.answers, most) for active in mine if not active.waits_alone)
        ahead = max(1, slots // CLAIMED_AHEAD)
        found: list[LaneCapacity] = []
        is_open = True
        for lane in LANES:  # one with too many is closed, and with it those that are prepared after it
            is_open = is_open and alone[lane] < MAX_WAITING_ALONE
            free = max(_slots_of(lane, slots) + ahead - taken, 0 if lane in waiting else 1)
            found.append(LaneCapacity(lane, UNLIMITED_TOKENS, free) if is_open else LaneCapacity(lane, 0, 0))
        return found

    # What is ready

    def add(self, active: ActiveJob, items: Sequence[Any]) -> None:
        """The items of a job have been prepared."""
        key = active.model, active.lane
        waiting = self._waiting[key]
        if not waiting:  # a lane that was empty does not starve
            self._served_at[key] = self._clock()
        waiting[active.order] = _JobItems(active, items, self._limits.get(active.model))

    def remove(self, jobs: Collection[ActiveJob]) -> None:
        """Take out all items of these jobs."""
        for active in jobs:
            self._waiting[active.model, active.lane].pop(active.order, None)

    def take_batch(self, at_least: int, budget: BatchBudget | None) -> Batch | None:
        """The next batch. None if fewer items than that wait, or the budget holds no batch."""
        leader = self._choose_leader(at_least)
        if leader is None:
            return None
        model = leader.model
        limits = self._limits[model]
        if budget is not None:
            limits = limits._replace(tokens=min(limits.tokens, budget.tokens(model)))
        head, groups = self._groups(leader, limits)
        items = pack(head, groups, limits)
        longest = items[-1].length
        if budget is not None and longest > limits.tokens and not budget.admits(model, longest):
            return None
        self._note_turn(leader)
        self._take_out(model, items)
        return Batch(model, items)

    def take_answers(self, model: str, running: Sequence[Lane]) -> list[QueuedItem]:
        """What a generating model begins beside running answers of these lanes: the highest lane first, but before it
        an answer of each lane that starves.
        """
        slots = self._slots[model]
        lower = len(running) - running.count(Lane.INTERACTIVE)
        chosen: list[QueuedItem] = []
        for lane in self._starving_lanes(model):
            free = min(slots - len(running), _slots_of(lane, slots) - lower) - len(chosen)
            chosen += self._fairly(model, lane, min(free, 1), chosen)
        for lane in LANES:
            free = _slots_of(lane, slots) - len(running) - len(chosen)
            chosen += self._fairly(model, lane, free, chosen)
        self._take_out(model, chosen)
        return chosen

    def _starving_lanes(self, model: str) -> list[Lane]:
        """Of those below the highest, from which chats may keep the places. Longest first."""
        now = self._clock()
        unserved_s = {
            lane: now - self._served_at[model, lane] for lane in LANES[1:] if self._waiting[model, lane]
        }
        starving = [lane for lane, seconds in unserved_s.items() if seconds >= self._starvation_s]
        return sorted(starving, key=lambda lane: -unserved_s[lane])

    def _fairly(self, model: str, lane: Lane, free: int, chosen: Sequence[QueuedItem]) -> list[QueuedItem]:
        """So many more answers of the lane: each time of the job that has the fewest, of these the oldest."""
        if free <= 0:
            return []
        slots = self._slots[model]
        most = slots - slots // KEPT_FOR_OTHERS
        taken = Counter(queued.order for queued in chosen)
        waiting = self._waiting[model, lane]
        left = {order: iter(each.items[taken[order] :]) for order, each in waiting.items()}
        next_jobs = [(each.active.running + taken[order], order) for order, each in waiting.items()]
        heapq.heapify(next_jobs)
        found: list[QueuedItem] = []
        while next_jobs and len(found) < free:
            places, order = heapq.heappop(next_jobs)
            queued = next(left[order], None) if places < most else None
            if queued is not None:
                found.append(queued)
                heapq.heappush(next_jobs, (places + 1, order))
        return found

    def _choose_leader(self, at_least: int) -> Candidate | None:
        batching = {key: waiting for key, waiting in self._waiting.items() if key[0] in self._limits}
        if sum(len(each.items) for waiting in batching.values() for each in waiting.values()) < at_least:
            return None
        candidates = [each for key, waiting in batching.items() for each in self._candidates(key, waiting)]
        now = self._clock()
        return choose_leader(
            candidates,
            {key: now - self._served_at[key] for key in batching},
            starvation_s=self._starvation_s,
            small_turns=self._small_turns,
        )

    @staticmethod
    def _candidates(key: ModelLane, waiting: Mapping[int, _JobItems]) -> list[Candidate]:
        """The first of the small jobs, and the one whose turn it is of the others."""
        small = min((order for order, each in waiting.items() if each.is_small), default=None)
        other = min(((each.led, order) for order, each in waiting.items() if not each.is_small), default=None)
        found = [] if small is None else [Candidate(*key, small, 0, is_small=True)]
        return found if other is None else [*found, Candidate(*key, other[1], other[0], is_small=False)]

    def _groups(self, leader: Candidate, limits: BatchLimits) -> tuple[QueuedItem, list[list[QueuedItem]]]:
        """The item that leads, and what may join it: of its job, then of its lane's jobs that are small like it or not,
        then of the others.
        """
        leading = self._waiting[leader.model, leader.lane][leader.order]
        head, *own = leading.window(limits)
        groups = [own]
        for lane in (leader.lane, *(each for each in LANES if each is not leader.lane)):
            small: list[QueuedItem] = []
            others: list[QueuedItem] = []
            for each in self._waiting[leader.model, lane].values():
                if each is not leading:
                    (small if each.is_small else others).extend(each.window(limits))
            is_others_turn = lane is leader.lane and not leader.is_small
            groups += [others, small] if is_others_turn else [small, others]
        return head, groups

    def _note_turn(self, leader: Candidate) -> None:
        lane = leader.lane
        others_wait = any(
            not each.is_small
            for key, waiting in self._waiting.items()
            if key[1] is lane
            for each in waiting.values()
        )
        self._small_turns[lane] = self._small_turns[lane] + 1 if others_wait and leader.is_small else 0
        self._batches += 1
        leading = self._waiting[leader.model, lane][leader.order]
        leading.led, leading.is_small = self._batches, False

    def _take_out(self, model: str, items: Sequence[QueuedItem]) -> None:
        now = self._clock()
        taken = {id(queued) for queued in items}
        for lane, order in {(queued.lane, queued.order) for queued in items}:
            waiting = self._waiting[model, lane]
            waiting[order].take(taken)
            if not waiting[order].items:
                del waiting[order]
            self._served_at[model, lane] = now
