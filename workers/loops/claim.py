"""Claims jobs and has them prepared, so that the next batch is ready when the device asks for it."""

import logging
import threading
import time

from redis.exceptions import RedisError

from jobs.generate import Pieces
from jobs.job import LANES
from jobs.store import keys
from workers.loops.prepare import Preparing
from workers.loops.wakeup import POLL_S, Bell
from workers.models.model_cache import Residents
from workers.models.swap import Swapping
from workers.queue.client import Claim, Ledger, Room
from workers.scheduling.in_flight import Hand

log = logging.getLogger(__name__)

MAX_CLAIM = 256
"""Jobs in one CLAIM: keeps a script near a millisecond."""

LOOKS_AGAIN_S = 0.1
"""Time alone can change which models are to come and go."""

SUSPECTS = 16
"""Jobs suspected once that are tried together, apart from all others."""


class Feeder:
    """Runs in a thread of its own, with a second one, the bell, that blocks on the queues' markers."""

    def __init__(
        self,
        hand: Hand,
        ledger: Ledger,
        residents: Residents,
        preparing: Preparing,
    ) -> None:
        self._hand = hand
        self._ledger = ledger
        self._residents = residents
        self._runners = residents.runners
        self._preparing = preparing
        tasks = sum(len(runner.info.tasks) for runner in residents.runners.values())
        self._bell = Bell(hand, ledger, markers=tasks * len(LANES))
        self._stopping = False
        self._backlog: frozenset[str] = frozenset()  # queues that may have work
        self._reported: frozenset[str] = frozenset()  # queues that had work left after the last CLAIM
        self._swapping = Swapping(hand, ledger, residents)
        self._suspects_wait = False
        self._suspects_next = False
        self.paused = False

    def stop(self) -> None:
        self._stopping = True
        self._bell.stop()

    def run(self) -> None:
        threading.Thread(target=self._bell.run, name="bell", daemon=True).start()
        while not self._stopping:
            try:
                if self.paused or not self._feed():
                    self._bell.wait(self._listen_for, self._may_feed, self._pause_s)
            except RedisError as error:
                self._ledger.outage.note(error)
                time.sleep(0.2)
        self._swapping.stop()

    def _rooms(self) -> list[Room]:
        """Of all queues; none where the model is not in memory."""
        found: list[Room] = []
        for model, runner in self._runners.items():
            serves = self._residents.serves(model)
            for lane, tokens, jobs in self._hand.rooms(model):
                found += [
                    Room(keys.queue_name(task, model, lane), tokens, jobs if serves else 0)
                    for task in runner.info.tasks
                ]
        return found

    def _may_feed(self) -> bool:
        """Whether there is work that is known of, and room for it."""
        if self.paused:
            return False
        if self._swapping.is_due(self._reported):
            return True
        if self._suspects_wait:
            return not len(self._hand)
        return any(
            room.queue in self._backlog and room.tokens > 0 and room.jobs > 0 for room in self._rooms()
        )

    def _listen_for(self) -> list[str]:
        """Markers worth waking for: of the queues there is room for, and of models that are not in memory until work is
        known of. A marker taken by a worker without room would not wake another.
        """
        if self.paused or self._suspects_wait:
            return []
        rooms = self._rooms()
        wanted = {room.queue for room in rooms if room.tokens > 0 and room.jobs > 0}
        if not self._residents.is_settled:
            away = [model for model in self._runners if not self._residents.serves(model)]
            wanted |= {
                keys.queue_name(task, model, lane)
                for model in away
                for task in self._runners[model].info.tasks
                for lane in LANES
            } - self._reported
        self._backlog |= {room.queue for room in rooms} - wanted  # unheard of: ask when there is room again
        return [keys.wake(queue) for queue in wanted]

    def _pause_s(self) -> float:
        return LOOKS_AGAIN_S if self._residents.someone_waits else POLL_S

    def _feed(self) -> bool:
        """Claim once. Whether it is worth doing again at once."""
        self._swapping.advance(self._reported)
        if not self._suspects_wait:
            return self._feed_fresh()
        if len(self._hand):
            return False
        # Jobs that were in a worker when it died run apart, so that the next death finds the culprit. In turns with
        # fresh ones, so that those do not wait for all of them.
        self._suspects_next = not self._suspects_next
        if not self._suspects_next:
            self._feed_fresh()
            return not len(self._hand)
        rooms = [room._replace(tokens=1 << 30, jobs=SUSPECTS) for room in self._rooms() if room.jobs]
        taken = self._ledger.claim(rooms, max_jobs=SUSPECTS, suspect=True)
        self._suspects_wait = taken.suspect_waits
        self._take(taken.claims)
        return not taken.claims

    def _feed_fresh(self) -> bool:
        taken = self._ledger.claim(self._rooms(), max_jobs=MAX_CLAIM, suspect=False)
        self._backlog = self._reported = taken.backlog
        self._suspects_wait |= taken.suspect_waits
        self._take(taken.claims)
        return bool(taken.claims)

    def _take(self, claims: list[Claim]) -> None:
        """What is claimed is prepared in other threads: this one only claims."""
        helds = self._hand.hold(claims)
        for held in helds:
            if held.claim.told:
                held.told_before = self._told(held.claim)
        self._preparing.add(helds)

    def _told(self, claim: Claim) -> list[Pieces]:
        while True:
            try:
                return self._ledger.told(claim)
            except RedisError as error:
                if self._stopping:
                    raise
                self._ledger.outage.note(error)
                time.sleep(0.2)
