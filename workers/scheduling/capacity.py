"""How much more work a worker may claim: enough to keep its device busy, little enough to leave others their share."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from jobs.job import LANES, Lane
from workers.queue.execution import Claim
from workers.scheduling.active_job import ActiveJob
from workers.scheduling.packing import BatchLimits
from workers.scheduling.ready_queue import ReadyQueue, slots_of

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


class LaneCapacity(NamedTuple):
    """What may still be claimed of a model's jobs in one lane. Neither is positive where nothing may be."""

    lane: Lane
    tokens: int
    jobs: int


class Capacity:
    """Counts the tokens that jobs take up before they are prepared. `InFlight` owns it and guards it by its lock."""

    def __init__(self, limits: Mapping[str, BatchLimits], slots: Mapping[str, int]) -> None:
        """limits: of each model's batches. slots: of each generating model, how many answers it writes at a time."""
        self._limits = limits
        self._slots = slots
        self._reserved = {(model, lane): 0 for model in (*limits, *slots) for lane in LANES}

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

    def left(self, model: str, jobs: Collection[ActiveJob], ready: ReadyQueue) -> list[LaneCapacity]:
        """What may still be claimed for a model, highest lane first. jobs: all that are here.

        Lower lanes take no capacity that higher ones use. But a lane with nothing here always has capacity for half a
        batch: it must get its turn.
        """
        if model in self._slots:
            return self._left_slots(model, jobs)
        here = Counter(active.lane for active in jobs)
        batch_tokens = self._limits[model].tokens
        free = batch_tokens * POOL_BATCHES
        found: list[LaneCapacity] = []
        for lane in LANES:
            taken = self._reserved[model, lane] + ready.tokens(model, lane)
            free -= taken
            tokens = free if taken else max(free, batch_tokens // 2)
            found.append(LaneCapacity(lane, tokens, MAX_JOBS - here[lane]))
        return found

    def _left_slots(self, model: str, jobs: Collection[ActiveJob]) -> list[LaneCapacity]:
        slots = self._slots[model]
        mine = [active for active in jobs if active.model == model]
        waiting = Counter(active.lane for active in mine if active.waits_alone)
        taken = sum(active.answers for active in mine if not active.waits_alone)
        ahead = max(1, slots // CLAIMED_AHEAD)
        found: list[LaneCapacity] = []
        is_open = True
        for lane in LANES:  # one with too many is closed, and with it those that are prepared after it
            is_open = is_open and waiting[lane] < MAX_WAITING_ALONE
            free = slots_of(lane, slots) + ahead - taken
            found.append(LaneCapacity(lane, UNLIMITED_TOKENS, free) if is_open else LaneCapacity(lane, 0, 0))
        return found
