"""The jobs a worker holds: claimed, being tokenised, waiting for the device, running, being written back."""

import math
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from jobs.generate import Pieces
from jobs.job import LANES, Job, Lane
from jobs.store import keys
from workers.queue.client import Claim
from workers.scheduling.packing import BatchLimits, ModelLane, choose_queue, pack

POOL_BATCHES = 4
"""Work claimed ahead, in batches: enough to sort by length, little enough to leave other workers their share."""

MAX_JOBS = 1024
"""Jobs held at once of each lane, whatever their size: a flood in one lane leaves the others their places."""


CLAIMED_AHEAD = 4
"""A generating model's worker holds a quarter more jobs than it writes answers: the next one is tokenised already."""

LARGE_SHARE = 8
"""A large job counts as an eighth of a batch until it is prepared: others must not wait for it."""

MAX_APART = 64
"""Jobs of a lane that wait to be prepared by themselves for a generating model (large ones, and those with grammars).
They take no answer's place until they are."""

RESERVED = 4
"""A quarter of the answers written at a time is kept for the interactive lane."""


def _share(slots: int, lane: Lane) -> int:
    """How many answers there may be before this lane's next one begins."""
    return slots if lane is Lane.INTERACTIVE else max(1, slots - slots // RESERVED)


class Held:
    """A claimed job and how far it is."""

    def __init__(self, claim: Claim, model: str, lane: Lane, order: int, cost: int) -> None:
        """order: smaller was claimed earlier. cost: tokens of room that it takes until it is prepared."""
        self.claim = claim
        self.model = model
        self.lane = lane
        self.order = order
        self.cost = cost
        self.prepared = False
        self.apart = False  # in the line of jobs that are prepared one at a time
        self.told_before: Sequence[Pieces] = ()  # of its stream, by an earlier execution
        self.claimed_at = time.monotonic()
        self.deadline = math.inf
        self.job: Job | None = None
        self.items: Sequence[Any] = ()
        self.outcomes: list[Any] = []
        self.unfinished = 0
        self.running = 0
        self.settling = False
        self.told = 0  # events of its stream so far

    @property
    def rank(self) -> tuple[int, int]:
        """Smaller is served earlier."""
        return LANES.index(self.lane), self.order

    @property
    def is_large(self) -> bool:
        """Whether its claim has left it in Redis, to be fetched when it is prepared."""
        return self.claim.data is None

    @property
    def waits_apart(self) -> bool:
        return (self.apart or self.is_large) and not self.prepared


class Entry(NamedTuple):
    """An item that waits for the device."""

    length: int
    order: int
    lane: Lane
    held: Held
    place: int


class Budget(Protocol):
    """What a batch may cost just now (workers.scheduling.token_budget.Pace)."""

    def tokens(self, model: str) -> int:
        """The most padded tokens of a batch."""
        ...

    def admits(self, model: str, length: int) -> bool:
        """Whether an item with more tokens may run alone all the same."""
        ...


class Batch(NamedTuple):
    model: str
    entries: list[Entry]

    @property
    def padded_tokens(self) -> int:
        return self.entries[-1].length * len(self.entries)


class Hand:
    """Shared by the worker's threads. The device waits for `work`; the feeder waits on `room`, and says by
    `short_of_room` that it wants to hear when some is made.
    """

    def __init__(
        self,
        limits: Mapping[str, BatchLimits],
        *,
        starvation_s: float,
        slots: Mapping[str, int] | None = None,
    ) -> None:
        """limits: of each model's batches. slots: of each generating model, how many answers it writes at a time."""
        self._lock = threading.RLock()
        self.work = threading.Condition(self._lock)
        self.room = threading.Condition(self._lock)
        self.short_of_room = False
        self._limits = limits
        self._slots = slots or {}
        self._starvation_s = starvation_s
        self._held: dict[str, Held] = {}
        self._pools: dict[ModelLane, list[Entry]] = {
            (model, lane): [] for model in (*limits, *self._slots) for lane in LANES
        }
        self._incoming = dict.fromkeys(self._pools, 0)
        self._served_at = dict.fromkeys(self._pools, 0.0)
        self._order = 0

    def __len__(self) -> int:
        return len(self._held)

    def claims(self) -> list[Claim]:
        with self._lock:
            return [held.claim for held in self._held.values()]

    def running(self) -> list[Claim]:
        """Executions whose items are on the device now."""
        with self._lock:
            return [held.claim for held in self._held.values() if held.running]

    def rooms(self, model: str) -> list[tuple[Lane, int, int]]:
        """(lane, tokens, jobs) that may still be claimed. Lower lanes take no room that higher ones use, but a lane
        with nothing here always has room for half a batch: it must get its turn.
        """
        with self._lock:
            if model in self._slots:
                return self._slot_rooms(model)
            jobs = dict.fromkeys(LANES, MAX_JOBS)
            for held in self._held.values():
                jobs[held.lane] -= 1
            free = self._limits[model].tokens * POOL_BATCHES
            rooms: list[tuple[Lane, int, int]] = []
            for lane in LANES:
                taken = self._incoming[model, lane] + sum(entry.length for entry in self._pools[model, lane])
                free -= taken
                tokens = max(free, self._limits[model].tokens // 2) if not taken else free
                rooms.append((lane, tokens, jobs[lane]))
            return rooms

    def _slot_rooms(self, model: str) -> list[tuple[Lane, int, int]]:
        slots = self._slots[model]
        mine = [each for each in self._held.values() if each.model == model]
        waiting = Counter(each.lane for each in mine if each.waits_apart)
        held = sum(max(1, len(each.items)) for each in mine if not each.waits_apart)
        ahead = max(1, slots // CLAIMED_AHEAD)
        found: list[tuple[Lane, int, int]] = []
        is_open = True
        for lane in LANES:  # one with too many is closed, and with it those that are prepared after it
            is_open = is_open and waiting[lane] < MAX_APART
            jobs = _share(slots, lane) + ahead - held if is_open else 0
            found.append((lane, (1 << 30) if is_open else 0, jobs))
        return found

    def hold(self, claims: Iterable[Claim]) -> list[Held]:
        """Claimed: from now on their leases are renewed."""
        taken: list[Held] = []
        with self._lock:
            for claim in claims:
                parsed = keys.parse_queue_name(claim.queue)
                assert parsed is not None, "only our queues are claimed from"
                self._order += 1
                held = Held(claim, parsed[1], parsed[2], self._order, claim.cost)
                if held.is_large and held.model in self._limits:
                    held.cost = min(held.cost, self._limits[held.model].tokens // LARGE_SHARE)
                self._held[claim.id] = held
                self._incoming[held.model, held.lane] += held.cost
                taken.append(held)
        return taken

    def set_apart(self, held: Held) -> None:
        """It is prepared by itself, which may take long: other answers go first."""
        with self._lock:
            held.apart = True
            self._made_room()

    def offer(self, held: Held, items: Sequence[Any]) -> None:
        """Tokenised: the items wait for the device, unless the job was given up or prepared by another meanwhile."""
        with self._lock:
            if held.prepared or not self.is_wanted(held):
                return
            self._no_longer_incoming(held)
            held.told = len(held.told_before)
            held.items, held.outcomes, held.unfinished = items, [None] * len(items), len(items)
            pool = self._pools[held.model, held.lane]
            if not pool:
                self._served_at[held.model, held.lane] = time.monotonic()
            pool += [Entry(item.length, held.order, held.lane, held, n) for n, item in enumerate(items)]
            self.work.notify()

    def decline(self, held: Held) -> bool:
        """It needs no device: it holds no room any more, only its lease until its end is written. False where it was
        given up or prepared meanwhile.
        """
        with self._lock:
            if held.prepared or not self.is_wanted(held):
                return False
            held.settling = True
            self._no_longer_incoming(held)
            return True

    def _no_longer_incoming(self, held: Held) -> None:
        if not held.prepared:
            held.prepared = True
            self._incoming[held.model, held.lane] -= held.cost
            self._made_room()

    def next_batch(
        self, timeout_s: float, *, at_least: int = 1, budget: Budget | None = None
    ) -> Batch | None:
        """The next batch for the device; None if not as many items as that came in time, or budget holds no batch."""
        with self._lock:
            if timeout_s and not any(self._pools.values()):
                self.work.wait(timeout_s)
            if sum(len(pool) for (model, _), pool in self._pools.items() if model in self._limits) < at_least:
                return None
            chosen_queue = self._choose()
            if chosen_queue is None:
                return None
            model, lane = chosen_queue
            waiting = [entry for each in LANES for entry in self._pools[model, each]]
            limits = self._limits[model]
            if budget is not None:
                limits = limits._replace(tokens=min(limits.tokens, budget.tokens(model)))
            chosen = pack(waiting, lane, limits)
            entries = [waiting[n] for n in chosen]
            longest = entries[-1].length
            if budget is not None and longest > limits.tokens and not budget.admits(model, longest):
                return None
            self._take_out(model, entries)
            self._made_room()
            return Batch(model, entries)

    def next_answers(self, model: str, running: int) -> list[Entry]:
        """What the generating model begins now, beside so many running answers: highest lane first."""
        with self._lock:
            chosen: list[Entry] = []
            for lane in LANES:
                room = _share(self._slots[model], lane) - running - len(chosen)
                waiting = sorted(self._pools[model, lane], key=lambda entry: entry.order)
                chosen += waiting[: max(0, room)]
            if chosen:
                self._take_out(model, chosen)
                self._made_room()
            return chosen

    def interrupt(self, entries: Iterable[Entry]) -> None:
        """The device has left these answers unfinished: their jobs can be given back."""
        with self._lock:
            for entry in entries:
                entry.held.running -= 1

    def is_wanted(self, held: Held) -> bool:
        """Whether the job is still to be worked on: not canceled, lost or over its time."""
        return self._held.get(held.claim.id) is held and not held.settling

    def _choose(self) -> ModelLane | None:
        now = time.monotonic()
        oldest = {
            (model, lane): min(entry.order for entry in pool)
            for (model, lane), pool in self._pools.items()
            if pool and model in self._limits
        }
        unserved_s = {each: now - self._served_at[each] for each in oldest}
        return choose_queue(oldest, unserved_s, self._starvation_s)

    def _take_out(self, model: str, entries: list[Entry]) -> None:
        now = time.monotonic()
        taken = {id(entry) for entry in entries}
        for lane in {entry.lane for entry in entries}:
            self._pools[model, lane] = [each for each in self._pools[model, lane] if id(each) not in taken]
            self._served_at[model, lane] = now
        for entry in entries:
            held = entry.held
            held.running += 1
            if held.deadline == math.inf:  # the time limit runs from the first batch on
                held.deadline = now + held.claim.time_limit_s

    def record(self, entries: Sequence[Entry], outcomes: Sequence[Any]) -> list[Held]:
        """Note the outcomes of a batch or of answers. Returns the jobs that are complete now."""
        complete: list[Held] = []
        with self._lock:
            for entry, outcome in zip(entries, outcomes, strict=True):
                held = entry.held
                held.outcomes[entry.place] = outcome
                held.unfinished -= 1
                held.running -= 1
                if held.unfinished == 0 and not held.settling and self._held.get(held.claim.id) is held:
                    held.settling = True
                    complete.append(held)
        return complete

    def forget(self, helds: Iterable[Held]) -> None:
        """Settled: their leases are gone."""
        with self._lock:
            for held in helds:
                if self._held.get(held.claim.id) is held:
                    del self._held[held.claim.id]
            self._made_room()

    def drop(self, job_ids: Iterable[str]) -> list[Held]:
        """Give these jobs up: their waiting items leave the pools. What is being written back stays: FINISH finds
        out by itself.
        """
        with self._lock:
            return self._drop([held for job_id in job_ids if (held := self._held.get(job_id))])

    def lose(self, members: set[str]) -> list[Held]:
        """Give up the executions whose lease is gone; the same job may have been claimed anew since."""
        with self._lock:
            return self._drop([held for held in self._held.values() if held.claim.member in members])

    def _drop(self, found: list[Held]) -> list[Held]:
        dropped = [held for held in found if not held.settling]
        for held in dropped:
            del self._held[held.claim.id]
            self._no_longer_incoming(held)
        self._remove_entries(dropped)
        return dropped

    def overdue(self) -> list[Held]:
        """Jobs past their time limit, condemned."""
        now = time.monotonic()
        with self._lock:
            late = [held.claim.id for held in self._held.values() if now > held.deadline]
            return self.condemn(late)

    def condemn(self, job_ids: Iterable[str]) -> list[Held]:
        """These jobs are to be failed: nothing more of them runs; they keep their leases until that is written."""
        with self._lock:
            found = [held for job_id in job_ids if (held := self._held.get(job_id)) and not held.settling]
            for held in found:
                held.settling = True
                self._no_longer_incoming(held)
            self._remove_entries(found)
            return found

    def lanes_of_work(self) -> dict[str, Lane]:
        """The highest lane of each model's jobs here."""
        with self._lock:
            found = {(held.model, held.lane) for held in self._held.values()}
        return {model: lane for each in reversed(LANES) for model, lane in found if lane is each}

    def wake_device(self) -> None:
        """It waits for work, and there is other than batches."""
        with self._lock:
            self.work.notify()

    def announce_room(self) -> None:
        """Have the feeder look again: there is room it does not know of."""
        with self._lock:
            self.room.notify()

    def give_up_waiting(self) -> list[Held]:
        """Jobs of which nothing is on the device, dropped: they can be given back."""
        with self._lock:
            return self._drop([held for held in self._held.values() if not held.running])

    def give_up_untouched(self, models: Collection[str]) -> list[Held]:
        """Jobs of these models that nothing has been computed for, dropped: they can be given back."""
        with self._lock:
            return self._drop(
                [
                    held
                    for held in self._held.values()
                    if held.model in models and not held.running and held.unfinished == len(held.items)
                ]
            )

    def _made_room(self) -> None:
        if self.short_of_room:
            self.room.notify()

    def _remove_entries(self, dropped: list[Held]) -> None:
        if not dropped:
            return
        gone = {id(held) for held in dropped}
        for each, pool in self._pools.items():
            self._pools[each] = [entry for entry in pool if id(entry.held) not in gone]
        self._made_room()
