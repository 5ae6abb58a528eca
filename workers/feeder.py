"""Claims jobs and tokenises them, so that the next batch is ready when the device asks for it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from redis.exceptions import RedisError

from jobs import keys, record
from jobs.errors import InternalError, InvalidInput, JobError
from jobs.types import LANES
from workers.hand import Hand, Held
from workers.ledger import Claim, Ledger
from workers.runners.base import Runner

log = logging.getLogger(__name__)

POLL_S = 1.0
"""Work that came without a marker (RQ's own tools, a lost marker) is found this often."""

MAX_CLAIM = 256
"""Jobs in one CLAIM: keeps a script near a millisecond."""

SUSPECTS = 16
"""Jobs suspected once that are tried together, apart from all others."""


class Feeder:
    """Runs in a thread of its own, with a second one, the bell, that blocks on the queues' markers."""

    def __init__(
        self,
        hand: Hand,
        ledger: Ledger,
        runners: Mapping[str, Runner],
        fail: Callable[[Held, JobError], None],
    ) -> None:
        self._hand = hand
        self._ledger = ledger
        self._runners = runners
        self._fail = fail
        self._bell = Bell(
            hand, ledger, [keys.wake(runner.info.task, model) for model, runner in runners.items()]
        )
        self._stopping = False
        self._isolating = False
        self.paused = False

    def stop(self) -> None:
        self._stopping = True
        self._bell.stop()

    def run(self) -> None:
        threading.Thread(target=self._bell.run, name="bell", daemon=True).start()
        while not self._stopping:
            try:
                if self.paused or not self._feed():
                    self._bell.wait(self._has_room)
            except RedisError as error:
                log.warning("cannot claim jobs", extra={"error": str(error)})
                time.sleep(0.2)

    def _has_room(self) -> bool:
        if self._isolating:
            return not len(self._hand)
        return self._hand.free_jobs > 0 and any(
            self._hand.budgets(model)[0][1] > 0 for model in self._runners
        )

    def _feed(self) -> bool:
        """Claim once for every model. Whether it is worth doing again at once."""
        if self._isolating:
            return self._feed_suspects()
        claimed = False
        for model, runner in self._runners.items():
            budgets = [
                (keys.queue_name(runner.info.task, model, lane), max(0, budget))
                for lane, budget in self._hand.budgets(model)
            ]
            max_jobs = min(MAX_CLAIM, self._hand.free_jobs)
            claims, suspect_waits = self._ledger.claim(budgets, max_jobs=max_jobs, suspect=False)
            self._isolating |= suspect_waits
            claimed |= bool(claims)
            self._take(claims)
        return claimed or (self._isolating and not len(self._hand))

    def _feed_suspects(self) -> bool:
        """Jobs that were in a worker when it died run apart: the next death then finds the culprit."""
        if len(self._hand):
            return False
        queues = [
            (keys.queue_name(runner.info.task, model, lane), 1 << 30)
            for model, runner in self._runners.items()
            for lane in LANES
        ]
        claims, self._isolating = self._ledger.claim(queues, max_jobs=SUSPECTS, suspect=True)
        self._take(claims)
        return not self._isolating

    def _take(self, claims: list[Claim]) -> None:
        if not claims:
            return
        readable: dict[str, list[Held]] = {}
        for held in self._hand.hold(claims):
            try:
                held.job = record.decode_job(held.claim.data)
            except JobError as error:
                self._hand.decline(held)
                self._fail(held, error)
            else:
                readable.setdefault(held.model, []).append(held)
        for model, helds in readable.items():
            self._prepare(self._runners[model], helds)

    def _prepare(self, runner: Runner, helds: list[Held]) -> None:
        jobs = [held.job for held in helds if held.job is not None]
        try:
            prepared = runner.prepare(jobs)
        except Exception:  # one job must not take its neighbours down
            if len(helds) > 1:
                for held in helds:
                    self._prepare(runner, [held])
                return
            log.exception("job cannot be prepared", extra={"job_id": helds[0].claim.id})
            prepared = [InternalError()]
        for held, items in zip(helds, prepared, strict=True):
            if not items:
                items = InvalidInput("The job has no inputs.", param="input")
            if isinstance(items, JobError):
                self._hand.decline(held)
                self._fail(held, items)
            else:
                self._hand.offer(held, items)


class Bell:
    """Rings when a queue has a marker. Blocks on Redis only while the worker has room: a marker that a full worker
    swallowed would not wake an idle one.
    """

    def __init__(self, hand: Hand, ledger: Ledger, wake_keys: list[str]) -> None:
        self._hand = hand
        self._ledger = ledger
        self._wake_keys = wake_keys
        self._listen = threading.Event()
        self._rang = False
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        self._listen.set()
        with self._hand.room:
            self._hand.room.notify_all()

    def wait(self, has_room: Callable[[], bool]) -> None:
        """Until the bell rings, which it does at the latest a poll interval after there is room."""
        with self._hand.room:
            while not self._rang and not self._stopping:
                if has_room():
                    self._hand.short_of_room = False
                    self._listen.set()
                else:
                    self._hand.short_of_room = True
                self._hand.room.wait(POLL_S)
            self._rang = False
            self._hand.short_of_room = False

    def run(self) -> None:
        while not self._stopping:
            self._listen.wait()
            self._listen.clear()
            try:
                self._ledger.wait_for_work(self._wake_keys, POLL_S)
            except RedisError:
                time.sleep(0.2)
            with self._hand.room:
                self._rang = True
                self._hand.room.notify_all()
