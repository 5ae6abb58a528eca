"""The claim loop's part in models that come and go: what work there is, what is given back, what is announced."""

import contextlib
import time
from collections.abc import Iterable

from redis.exceptions import RedisError

from jobs.job import LANES, Lane
from jobs.store import keys
from workers.models.memory.eviction import ModelChange
from workers.models.memory.refusal import refusal_by_deaths
from workers.models.model_cache import ModelCache
from workers.queue.client import WorkerQueue
from workers.queue.execution import Claim
from workers.queue.fleet import Fleet
from workers.queue.worker_name import this_machine
from workers.scheduling.in_flight import InFlight, Reason

ASKED_AGAIN_S = 1.0
"""Between two looks at how long work for models that are not in memory may wait."""


class ModelSwap:
    """Belongs to the claim loop's thread, so that nothing is claimed for a model that is about to leave.

    reported: in all calls, queues that had work left when they were last looked at.
    """

    def __init__(
        self, in_flight: InFlight, queue: WorkerQueue, fleet: Fleet, model_cache: ModelCache
    ) -> None:
        self._in_flight = in_flight
        self._fleet = fleet
        self._queue = queue
        self._model_cache = model_cache
        self._announced: str | None = None
        """The model that was announced in Redis as being loaded here."""
        self._returned: list[Claim] = []
        """Removed here, and to be given back."""
        self._asked_at = float("-inf")
        """When Redis was last asked how long work may wait."""

    def is_due(self, reported: Iterable[str]) -> bool:
        """Whether `advance` has something to do."""
        if self._announced and not self._model_cache.is_changing:
            return True
        return not self._model_cache.is_settled and self._model_cache.choose(self._work(reported)) is not None

    def advance(self, reported: Iterable[str]) -> None:
        """Have models come and go as the work asks for it. Raises RedisError, and goes on with the next call."""
        if self._announced and not self._model_cache.is_changing:
            self._fleet.end_load(self._announced)
            self._announced = None
        if not self._model_cache.is_settled:
            self._note_deadlines(reported)
        if not self._model_cache.is_settled and (change := self._model_cache.choose(self._work(reported))):
            self._begin(change)
        if leaving := self._model_cache.leaving:
            jobs = [active for active in self._in_flight.jobs() if active.model in leaving]
            removed = self._in_flight.remove(jobs, Reason.MODEL_LEAVES)
            self._returned += [active.claim for active in removed]
        if self._returned:
            self._queue.release(self._returned)
            self._returned.clear()

    def stop(self) -> None:
        """A worker that stops in good order has not died of what it is loading."""
        if self._announced:
            with contextlib.suppress(RedisError):
                self._fleet.end_load(self._announced)

    def _begin(self, change: ModelChange) -> None:
        if change.load is not None and not self._may_load(change.load):
            return
        self._announced = change.load
        self._model_cache.begin_change(change)
        self._in_flight.wake_device()

    def _may_load(self, model: str) -> bool:
        """Whether it is this worker's turn, and its machine does not die of it."""
        turn = self._fleet.begin_load(model)
        if turn.loader:
            self._model_cache.note_loading_elsewhere(model)
            return False
        refusal = refusal_by_deaths(turn.deaths, this_machine())
        if refusal is None:
            return True
        self._model_cache.refuse(model, *refusal)
        self._fleet.end_load(model)
        return False

    def _note_deadlines(self, reported: Iterable[str]) -> None:
        """Until when work for models that are not in memory must have begun."""
        now = time.monotonic()
        if now - self._asked_at < ASKED_AGAIN_S:
            return
        waiting = [queue for queue in reported if not self._model_cache.serves(keys.model_of(queue))]
        left_s = self._queue.time_left_s(waiting) if waiting else {}
        self._asked_at = now
        begin_by: dict[str, float] = {}
        for queue, seconds in left_s.items():
            model = keys.model_of(queue)
            begin_by[model] = min(begin_by.get(model, now + seconds), now + seconds)
        self._model_cache.note_begin_by(begin_by)

    def _work(self, reported: Iterable[str]) -> dict[str, Lane]:
        """The highest lane of each model's work, here and in its queues."""
        found = self._in_flight.lanes_of_work()
        for queue in reported:
            parsed = keys.parse_queue_name(queue)
            assert parsed is not None, "only our queues are claimed from"
            _, model, lane = parsed
            found[model] = min(found.get(model, lane), lane, key=LANES.index)
        return found
