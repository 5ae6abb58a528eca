"""Says that this worker lives, keeps its leases, and takes back the jobs of workers that died."""

import logging
import time
import traceback
from collections.abc import Callable
from typing import Literal

from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.worker.base import WorkerStatus

from jobs.blobs.store import BlobStore
from jobs.settings import Settings
from jobs.stats import WorkerStats
from jobs.store import keys
from jobs.store.outage import is_defect, is_refused_write
from workers.loops.result import ResultLoop
from workers.models.model_cache import ModelCache
from workers.queue.client import WorkerQueue
from workers.queue.fleet import Fleet
from workers.queue.rq_bridge import RqBridge
from workers.scheduling.device_limits import device_is_gpu
from workers.scheduling.in_flight import InFlight, Reason

log = logging.getLogger(__name__)

DETAILS_S = 30
"""Between two times that it tells what the models' files say: in case Redis has lost it."""


class Heartbeat:
    """Belongs to the main thread, which goes on while a device call does not return. `beat` is called often."""

    def __init__(
        self,
        rq_worker: SimpleWorker,
        queue: WorkerQueue,
        fleet: Fleet,
        in_flight: InFlight,
        model_cache: ModelCache,
        result_loop: ResultLoop,
        bridge: RqBridge,
        blobs: BlobStore,
        settings: Settings,
    ) -> None:
        """rq_worker: whose record in Redis is kept alive."""
        self._rq_worker = rq_worker
        self._queue = queue
        self._fleet = fleet
        self._device: Literal["gpu", "cpu"] = "gpu" if device_is_gpu() else "cpu"
        self._progress: tuple[str, int] | None = None
        """Of the load that was last noted in Redis."""
        self._in_flight = in_flight
        self._model_cache = model_cache
        self._result_loop = result_loop
        self._bridge = bridge
        self._blobs = blobs
        self._settings = settings
        self._announce_every_s = min(1.0, settings.lease_s / 4)
        self._renew_every_s = settings.lease_s / 4
        self._promote_every_s = min(0.25, settings.lease_s / 4)
        # Renewals and time limits wait as long.
        self._most_sweep_s = min(0.25, settings.lease_s / 8)
        self._due_at = {
            "announce": 0.0,
            "renew": 0.0,
            "promote": 0.0,
            "details": 0.0,
            "compare": 0.0,
            "sweep": 0.0,
        }
        self._defective: set[str] = set()
        """Tasks of which Redis refused a command when they were last tried, though it works."""
        self._unknown: set[str] = set()
        """Members that Redis had this worker hold when they were last compared, and that it did not have."""
        self._unheld: set[str] = set()
        """And the other way round."""
        self._is_suspended = False
        self._is_broken = False
        self._told_changes = 0
        """As ModelCache.changes was when it was last announced."""

    @property
    def is_suspended(self) -> bool:
        """Whether `rq suspend` asked workers to pause, as of the last announcement."""
        return self._is_suspended

    @property
    def is_broken(self) -> bool:
        """Whether it has met an error that is not Redis's: the worker must stop."""
        return self._is_broken

    def begin(self) -> None:
        """Announce for the first time: whoever then asks for a model finds what its files say. Raises RedisError."""
        if self._is_due("details", DETAILS_S):
            self._try("details", self._announce_details)
        self.announce()

    def beat(self) -> None:
        """Do what is due."""
        try:
            if self._model_cache.changes != self._told_changes:
                self._due_at["announce"] = 0.0
            # A full Redis still takes what renews leases, so they do not wait for what it refuses.
            for task, every_s, work in (
                ("renew", self._renew_every_s, self._renew_and_reclaim),
                ("announce", self._announce_every_s, self.announce),
                ("promote", self._promote_every_s, self._promote),
                ("details", DETAILS_S, self._announce_details),
                ("sweep", self._settings.sweep_s, self._sweep),
            ):
                if self._is_due(task, every_s) and not self._try(task, work):
                    return
        except Exception:
            log.exception("the heartbeat failed, worker stops")
            self._is_broken = True

    def _try(self, task: str, work: Callable[[], None]) -> bool:
        """Do it. Whether Redis answers."""
        try:
            work()
        except RedisError as error:
            if is_defect(error):  # of this task alone: claims go on
                self._note_defect(task, error)
                return True
            self._queue.outage.note(error)
            answers = is_refused_write(error)
            if not answers or task == "renew":
                self._due_at["renew"] = 0.0
            return answers
        self._defective.discard(task)
        return True

    def _note_defect(self, task: str, error: RedisError) -> None:
        if task in self._defective:
            return
        self._defective.add(task)
        fields = {  # the error's text may quote a command
            "task": task,
            "error": type(error).__name__,
            "where": "".join(traceback.format_tb(error.__traceback__)),
        }
        log.error("Redis refuses a command of the heartbeat's", extra=fields)

    def _renew_and_reclaim(self) -> None:
        self._renew()  # first: its own lease may be late after a sleep
        self._reclaim()

    def _promote(self) -> None:
        self._queue.promote(self._rq_worker.queue_names())

    def _is_due(self, task: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due_at[task]:
            return False
        self._due_at[task] = now + every_s
        return True

    def announce(self) -> None:
        """Write to Redis that this worker lives, what it serves and how busy it is. Raises RedisError."""
        runners = self._model_cache.runners
        infos = [runner.info for runner in runners.values()]
        if conflict := self._fleet.register(infos, self._settings.lease_s):
            # It slept, and another one took its place meanwhile.
            log.error(
                "another worker serves a model from other files, worker stops", extra=conflict._asdict()
            )
            self._is_broken = True
            return
        self._model_cache.note_fleet(self._fleet.view(runners))
        self._told_changes = self._model_cache.changes  # before they are read
        progress = self._model_cache.load_progress
        stats = WorkerStats(
            name=self._rq_worker.name,
            models=tuple(runners),
            seen_at=time.time(),
            jobs_in_hand=len(self._in_flight),
            drain_rate=self._result_loop.drain_rates.read(),
            loaded=self._model_cache.report(),
            loading=progress[0] if progress else None,
            device=self._device,
            unloadable=self._model_cache.unloadable(),
        )
        self._queue.announce(stats, infos)
        # A full Redis refuses what follows, and takes the other.
        if progress:
            self._note_progress(*progress)
        self._announce_to_rq()
        self._queue.outage.end()

    def _announce_details(self) -> None:
        runners = self._model_cache.runners
        self._fleet.announce_details({model: runner.details for model, runner in runners.items()})

    def _note_progress(self, model: str, steps: int, began_ago_s: float) -> None:
        """That a load gets on: others wait for it as long as it does."""
        if self._progress != (model, steps):
            self._fleet.note_progress(model, began_ago_s)
            self._progress = model, steps
            now = self._model_cache.load_progress
            # It may have ended meanwhile, and its note may have been taken back before this one.
            if now is None or now[0] != model:
                self._fleet.end_load(model)

    def _announce_to_rq(self) -> None:
        rq_worker, connection = self._rq_worker, self._rq_worker.connection
        # Where it slept past its record, others took it out of RQ's lists. A heartbeat may have come between, which
        # writes a record of one field.
        is_listed = connection.sismember(keys.WORKERS, rq_worker.key)
        if not is_listed or not connection.hexists(rq_worker.key, "birth"):
            connection.delete(rq_worker.key)  # RQ takes any record for another worker of this name
            rq_worker.register_birth()
        self._is_suspended = self._queue.is_suspended()
        status = WorkerStatus.BUSY if len(self._in_flight) else WorkerStatus.IDLE
        if self._is_suspended:
            status = WorkerStatus.SUSPENDED
        if status != rq_worker.get_state():
            rq_worker.set_state(status)
        rq_worker.heartbeat(timeout=max(10, int(self._settings.lease_s * 3)))

    def _renew(self) -> None:
        jobs = self._in_flight.jobs()  # before: what is claimed meanwhile has a lease of its own
        has_lease, dropped, held = self._queue.renew()
        if not has_lease:
            for active in self._in_flight.remove(jobs, Reason.LEASE_LOST):
                log.warning("lease lost", extra={"job_id": active.claim.id})
        elif dropped:
            canceled = [active for active in jobs if active.claim.member in dropped]
            self._in_flight.remove(canceled, Reason.CANCELED)
            self._due_at["renew"] = 0.0  # says that they are dropped, and asks for more
        elif self._is_due("compare", self._renew_every_s):
            self._compare(held)

    def _compare(self, held: int) -> None:
        """What Redis has this worker hold, and what it has. A Redis that lost the end of its file (power, a failover)
        has forgotten claims, and outcomes. What differs twice in a row was not on its way.
        """
        unknown: set[str] = set()
        unheld: set[str] = set()
        if held != len(self._in_flight) or self._unknown or self._unheld:
            members = self._queue.held()
            jobs = {active.claim.member: active for active in self._in_flight.jobs()}
            unknown, unheld = set(members) - jobs.keys(), jobs.keys() - set(members)
            if forgotten := [member for member in members if member in unknown & self._unknown]:
                log.warning("Redis has forgotten outcomes", extra={"jobs": len(forgotten)})
                self._queue.reclaim_unknown(forgotten)
            for active in self._in_flight.remove(
                [jobs[member] for member in unheld & self._unheld], Reason.LEASE_LOST
            ):
                log.warning("Redis has forgotten a claim", extra={"job_id": active.claim.id})
        self._unknown, self._unheld = unknown, unheld

    def _reclaim(self) -> None:
        requeued, failed, more = self._queue.reclaim()
        if requeued or failed:
            log.warning("jobs reclaimed from a lost worker", extra={"requeued": requeued, "failed": failed})
        if more:
            self._due_at["renew"] = 0.0

    def _sweep(self) -> None:
        if self._queue.sweep(self._most_sweep_s):
            self._due_at["sweep"] = 0.0  # goes on at the next beat
            return
        self._bridge.forget_dead_workers(self._rq_worker.queue_names())
        self._result_loop.sweep()
        try:
            self._blobs.sweep()
        except OSError as error:
            log.warning("the folder for images of jobs cannot be cleaned", extra={"error": str(error)})
