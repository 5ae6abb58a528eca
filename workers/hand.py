"""The jobs a worker holds: claimed, being tokenised, waiting for the device, running, being written back."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jobs import keys
from jobs.types import LANES, Job, Lane
from workers.batching import BatchLimits, choose_lane, pack
from workers.ledger import Claim

POOL_BATCHES = 4
"""Work claimed ahead, in batches: enough to sort by length, little enough to leave other workers their share."""

MAX_JOBS = 1024
"""Jobs held at once, whatever their size."""


class Held:
    """A claimed job and how far it is."""

    def __init__(self, claim: Claim, model: str, lane: Lane) -> None:
        self.claim = claim
        self.model = model
        self.lane = lane
        self.claimed_at = time.monotonic()
        self.deadline = self.claimed_at + claim.time_limit_s
        self.job: Job | None = None
        self.items: Sequence[Any] = ()
        self.outcomes: list[Any] = []
        self.unfinished = 0
        self.running = 0
        self.settling = False


class Entry(NamedTuple):
    """An item that waits for the device."""

    length: int
    order: int
    lane: Lane
    held: Held
    place: int


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

    def __init__(self, limits: Mapping[str, BatchLimits], *, starvation_s: float) -> None:
        self._lock = threading.RLock()
        self.work = threading.Condition(self._lock)
        self.room = threading.Condition(self._lock)
        self.short_of_room = False
        self._limits = limits
        self._starvation_s = starvation_s
        self._held: dict[str, Held] = {}
        self._pools: dict[str, list[Entry]] = {model: [] for model in limits}
        self._incoming: dict[tuple[str, Lane], int] = {}
        self._served_at: dict[tuple[str, Lane], float] = {}
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

    def budgets(self, model: str) -> list[tuple[Lane, int]]:
        """Tokens that may still be claimed per lane: lower lanes never take the room of higher ones."""
        with self._lock:
            room = self._limits[model].tokens * POOL_BATCHES
            waiting = dict.fromkeys(LANES, 0)
            for entry in self._pools[model]:
                waiting[entry.lane] += entry.length
            budgets: list[tuple[Lane, int]] = []
            for lane in LANES:
                room -= waiting[lane] + self._incoming.get((model, lane), 0)
                budgets.append((lane, room))
            return budgets

    @property
    def free_jobs(self) -> int:
        return MAX_JOBS - len(self._held)

    def hold(self, claims: Iterable[Claim]) -> list[Held]:
        """Claimed: from now on their leases are renewed."""
        taken: list[Held] = []
        with self._lock:
            for claim in claims:
                parsed = keys.parse_queue_name(claim.queue)
                assert parsed is not None, "only our queues are claimed from"
                held = Held(claim, parsed[1], parsed[2])
                self._held[claim.id] = held
                key = (held.model, held.lane)
                self._incoming[key] = self._incoming.get(key, 0) + claim.cost
                taken.append(held)
        return taken

    def offer(self, held: Held, items: Sequence[Any]) -> None:
        """Tokenised: the items wait for the device."""
        with self._lock:
            self._incoming[held.model, held.lane] -= held.claim.cost
            if self._held.get(held.claim.id) is not held:
                return  # canceled meanwhile
            held.items, held.outcomes, held.unfinished = items, [None] * len(items), len(items)
            self._order += 1
            pool = self._pools[held.model]
            pool += [Entry(item.length, self._order, held.lane, held, n) for n, item in enumerate(items)]
            self._served_at.setdefault((held.model, held.lane), time.monotonic())
            self.work.notify()

    def decline(self, held: Held) -> None:
        """It cannot be run: it holds no room any more, only its lease until the failure is written."""
        with self._lock:
            held.settling = True
            self._incoming[held.model, held.lane] -= held.claim.cost

    def next_batch(self, timeout_s: float, *, at_least: int = 1) -> Batch | None:
        """The next batch for the device; None if not as many items as that came in time."""
        with self._lock:
            if timeout_s and not any(self._pools.values()):
                self.work.wait(timeout_s)
            if sum(map(len, self._pools.values())) < at_least:
                return None
            model, lane = self._choose()
            if model is None or lane is None:
                return None
            pool = self._pools[model]
            chosen = pack(pool, lane, self._limits[model])
            entries = [pool[n] for n in chosen]
            taken = set(chosen)
            self._pools[model] = [entry for n, entry in enumerate(pool) if n not in taken]
            now = time.monotonic()
            for entry in entries:
                entry.held.running += 1
                self._served_at[model, entry.lane] = now
            self._made_room()
            return Batch(model, entries)

    def _choose(self) -> tuple[str | None, Lane | None]:
        """The model and lane of the next batch: highest lane first, then whoever has waited longest."""
        now = time.monotonic()
        best: tuple[int, int, str, Lane] | None = None
        for model, pool in self._pools.items():
            waiting = dict.fromkeys(LANES, 0)
            for entry in pool:
                waiting[entry.lane] += 1
            unserved = {}
            for lane in LANES:
                if waiting[lane]:
                    unserved[lane] = now - self._served_at.get((model, lane), now)
                else:
                    self._served_at.pop((model, lane), None)
            lane = choose_lane(waiting, unserved, self._starvation_s)
            if lane is not None:
                oldest = min(entry.order for entry in pool if entry.lane is lane)
                candidate = (LANES.index(lane), oldest, model, lane)
                best = min(best, candidate) if best else candidate
        return (best[2], best[3]) if best else (None, None)

    def record(self, batch: Batch, outcomes: Sequence[Any]) -> list[Held]:
        """Note the outcomes of a batch. Returns the jobs that are complete now."""
        complete: list[Held] = []
        with self._lock:
            for entry, outcome in zip(batch.entries, outcomes, strict=True):
                held = entry.held
                held.outcomes[entry.place] = outcome
                held.unfinished -= 1
                held.running -= 1
                if held.unfinished == 0 and self._held.get(held.claim.id) is held:
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
        self._remove_entries(dropped)
        return dropped

    def overdue(self) -> list[Held]:
        """Jobs past their time limit; they are dropped."""
        now = time.monotonic()
        with self._lock:
            late = [held for held in self._held.values() if now > held.deadline]
        return self.drop([held.claim.id for held in late])

    def give_up_waiting(self) -> list[Held]:
        """Jobs that no device call has touched yet, dropped: they can be given back."""
        with self._lock:
            idle = [held for held in self._held.values() if not held.running]
        return self.drop([held.claim.id for held in idle])

    def _made_room(self) -> None:
        if self.short_of_room:
            self.room.notify()

    def _remove_entries(self, dropped: list[Held]) -> None:
        if not dropped:
            return
        gone = {id(held) for held in dropped}
        for model, pool in self._pools.items():
            self._pools[model] = [entry for entry in pool if id(entry.held) not in gone]
        self._made_room()
