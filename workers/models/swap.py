"""The feeder's part in models that come and go: what work there is, what is given back, what Redis is told."""

import contextlib
from collections.abc import Iterable

from redis.exceptions import RedisError

from jobs.job import LANES, Lane
from jobs.store import keys
from workers.models.eviction import Change
from workers.models.model_cache import Residents
from workers.queue.client import Claim, Ledger
from workers.scheduling.in_flight import Hand

MAX_DEATHS = 2
"""Workers that may die in a load of a model before its jobs fail: each takes other models' answers with it."""


class Swapping:
    """Belongs to the feeder's thread, so that nothing is claimed for a model that is about to leave.

    reported: in all calls, queues that had work left when they were last looked at.
    """

    def __init__(self, hand: Hand, ledger: Ledger, residents: Residents) -> None:
        self._hand = hand
        self._ledger = ledger
        self._residents = residents
        self._noted: str | None = None  # the model that Redis knows to be loading here
        self._returned: list[Claim] = []  # given up, and to be given back

    def is_due(self, reported: Iterable[str]) -> bool:
        """Whether `advance` has something to do."""
        if self._noted and not self._residents.is_changing:
            return True
        return not self._residents.is_settled and self._residents.choose(self._work(reported)) is not None

    def advance(self, reported: Iterable[str]) -> None:
        """Have models come and go as the work asks for it. Raises RedisError, and goes on with the next call."""
        if self._noted and not self._residents.is_changing:
            self._ledger.end_load(self._noted)
            self._noted = None
        if not self._residents.is_settled and (change := self._residents.choose(self._work(reported))):
            self._begin(change)
        if leaving := self._residents.leaving:
            self._returned += [held.claim for held in self._hand.give_up_untouched(leaving)]
        if self._returned:
            self._ledger.release(self._returned)
            self._returned.clear()

    def stop(self) -> None:
        """A worker that is told to stop has not died of what it is loading."""
        if self._noted:
            with contextlib.suppress(RedisError):
                self._ledger.end_load(self._noted)

    def _begin(self, change: Change) -> None:
        if change.load is not None and self._ledger.begin_load(change.load) >= MAX_DEATHS:
            self._residents.refuse(change.load, f"{MAX_DEATHS} workers have died of it")
            self._ledger.end_load(change.load)
            return
        self._noted = change.load
        self._residents.begin_change(change)
        self._hand.wake_device()

    def _work(self, reported: Iterable[str]) -> dict[str, Lane]:
        """The highest lane of each model's work, here and in its queues."""
        found = self._hand.lanes_of_work()
        for queue in reported:
            parsed = keys.parse_queue_name(queue)
            assert parsed is not None, "only our queues are claimed from"
            _, model, lane = parsed
            found[model] = min(found.get(model, lane), lane, key=LANES.index)
        return found
