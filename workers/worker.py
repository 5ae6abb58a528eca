"""The RQ worker: what `rq info` sees, and the threads around the device loop."""

import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.command import handle_command, parse_payload
from rq.utils import now as rq_now
from rq.worker.base import WorkerStatus

from jobs.errors import JobStopped, TimeLimitExceeded
from jobs.job import LANES
from jobs.settings import Settings
from jobs.stats import WorkerStats
from jobs.store import keys
from jobs.store.outage import Outage, cause_of
from jobs.store.serializer import MsgpackSerializer
from workers.loops.claim import Feeder
from workers.loops.decode import Decoding
from workers.loops.device import DeviceLoop
from workers.loops.prepare import Preparing
from workers.loops.result import Finisher
from workers.loops.stream import Writer
from workers.loops.watchdog import Progress
from workers.models.model_cache import Residents
from workers.queue.client import Claim, Ledger
from workers.queue.drain_rates import DrainRates
from workers.queue.rq_bridge import RqBridge, stop_job_target
from workers.runners.contract import BatchRunner
from workers.runners.generate.contract import Generator
from workers.scheduling.in_flight import Hand, Held
from workers.scheduling.packing import BatchLimits
from workers.scheduling.token_budget import Pace

log = logging.getLogger(__name__)

TICK_S = 0.1
PAUSE_S = 0.5
"""Between two tries to listen for RQ's commands."""
LAST_WORDS_S = 5
"""A worker that leaves because of a hung call waits so long for the outcomes that are being written."""
HUNG = 70
"""Exit status of a worker whose device hung (EX_SOFTWARE)."""


class BatchWorker(SimpleWorker):
    """Drains all lanes of its models' queues in batches.

    `work` runs the pulse in the main thread (signals, leases, time limits); feeder, device and finisher each have
    a thread, and a few prepare. `on_device(f)` must run f in the thread that owns the device. depth: see DeviceLoop.
    """

    log_job_description = False

    def __init__(
        self,
        connection: redis.Redis,
        residents: Residents,
        limits: Mapping[str, BatchLimits],
        settings: Settings,
        on_device: Callable[[Callable[[], None]], Any],
        *,
        depth: int = 1,
        name: str | None = None,
        outage: Outage | None = None,
    ) -> None:
        runners = residents.runners
        queues = [
            Queue(
                keys.queue_name(task, model, lane),
                connection=connection,
                serializer=MsgpackSerializer,
            )
            for model, runner in runners.items()
            for task in runner.info.tasks
            for lane in LANES
        ]
        super().__init__(queues, name=name, connection=connection, serializer=MsgpackSerializer)
        self._settings = settings
        self._residents = residents
        self._on_device = on_device
        self._ledger = Ledger(
            connection,
            self.name,
            lease_s=settings.lease_s,
            max_crashes=settings.max_crashes,
            outage=outage,
        )
        self._outage = self._ledger.outage
        batching = {model: each for model, each in runners.items() if isinstance(each, BatchRunner)}
        generators = {model: each for model, each in runners.items() if isinstance(each, Generator)}
        self._hand = Hand(
            {model: limits[model] for model in batching},
            starvation_s=settings.starvation_s,
            slots=dict.fromkeys(generators, settings.max_answers),
        )
        self._progress = Progress()
        self._rates = DrainRates()
        self._bridge = RqBridge(connection, self._ledger)
        self._finisher = Finisher(self._hand, self._ledger, residents, self._rates, self._bridge)
        self._preparing = Preparing(
            self._hand,
            self._ledger,
            residents,
            self._finisher.fail,
            self._finisher.end,
            timeout_s=settings.batch_timeout_s,
        )
        self._feeder = Feeder(self._hand, self._ledger, residents, self._preparing)
        self._writer = Writer(self._hand, self._ledger, generators, self._finisher.complete)
        self._device = DeviceLoop(
            self._hand,
            batching,
            self._progress,
            self._finisher.complete,
            Decoding(self._hand, generators, self._writer.say, self._finisher.fail),
            Pace(batching, settings.token_interval_ms / 1000),
            residents,
            batch_timeout_s=settings.batch_timeout_s,
            depth=depth,
        )
        self._broken = False
        self._due: dict[str, float] = {}
        self._reclaims_from = 0.0
        self._ticked_at = time.monotonic()

    def work(self, *_: Any, **__: Any) -> bool:
        """Work until SIGTERM or SIGINT. Returns whether the worker ended in good order."""
        self._install_signal_handlers()
        self._start_when_redis_answers()
        threads = {
            "feeder": self._spawn("feeder", self._feeder.run),
            "writer": self._spawn("writer", self._writer.run),
            "finisher": self._spawn("finisher", self._finisher.run),
            "device": self._spawn("device", lambda: self._on_device(self._device.run)),
        }
        try:
            while not self._stop_requested and not self._broken:
                self._tick()
            self._drain(threads)
        finally:
            self._preparing.stop()
            self._feeder.stop()  # also when a second signal or an error cut the warm shutdown short
            self._device.stop()
            self._writer.stop()
            self._finisher.stop()
            self._close()
        return not self._broken

    # Signals and RQ's commands

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Warm shutdown; a second signal after a second ends the process at once (RQ's request_force_stop)."""
        self._shutdown_requested_date = rq_now()
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)
        self._stop_requested = True

    def handle_payload(self, message: Any) -> None:
        """RQ's commands. stop-job may name any of the jobs in hand, not one current job."""
        payload = parse_payload(message)
        job_id = stop_job_target(payload)
        if job_id is None:
            handle_command(self, payload)
            return
        if payload["command"] == "stop-job":
            for held in self._hand.condemn([job_id]):
                self._finisher.fail(held, JobStopped())
        else:
            self._hand.drop([job_id])

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Listening for commands goes on when Redis is back; RQ's own handler gives up where it only was silent."""
        if not isinstance(exc, RedisError | OSError):
            raise exc
        self._outage.note(exc)
        time.sleep(PAUSE_S)

    # The pulse

    def _tick(self) -> None:
        time.sleep(TICK_S)
        gap_s, self._ticked_at = time.monotonic() - self._ticked_at, time.monotonic()
        if gap_s > 10 * TICK_S:
            self._progress.forgive(gap_s)
            self._preparing.forgive(gap_s)
        self._preparing.look_after()
        if self._progress.stalled or self._preparing.is_stuck:
            self._die_hung()
        try:
            for held in self._hand.overdue():
                self._finisher.fail(held, TimeLimitExceeded())
            if self._is_due("announce", min(1.0, self._settings.lease_s / 4)):
                self._give_sign_of_life()
                self._outage.end()
            if self._is_due("renew", min(0.25, self._settings.lease_s / 4)):
                # Before reclaiming: our own may be late after a sleep.
                self._lose(self._ledger.renew(self._hand.claims()))
                if time.monotonic() >= self._reclaims_from:
                    self._reclaim()
            if self._is_due("sweep", self._settings.sweep_s):
                self._sweep()
        except RedisError as error:
            self._outage.note(error)
            # Leases ran on while it was away: their owners renew before anybody reclaims.
            self._due["renew"] = 0.0
            self._reclaims_from = time.monotonic() + self._settings.lease_s / 2
        except Exception:
            log.exception("the pulse failed, worker stops")
            self._broken = True

    def _is_due(self, task: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(task, 0.0):
            return False
        self._due[task] = now + every_s
        return True

    def _lose(self, members: set[str]) -> None:
        for held in self._hand.lose(members):
            log.warning("lease lost", extra={"job_id": held.claim.id})

    def _give_sign_of_life(self) -> None:
        if not self.connection.exists(self.key):  # slept past its record: others took it out of RQ's lists
            self.register_birth()
        self._feeder.paused = self._ledger.suspended()
        status = WorkerStatus.BUSY if len(self._hand) else WorkerStatus.IDLE
        if self._feeder.paused:
            status = WorkerStatus.SUSPENDED
        if status != self.get_state():
            self.set_state(status)
        self.heartbeat(timeout=max(10, int(self._settings.lease_s * 3)))
        stats = WorkerStats(
            name=self.name,
            models=tuple(self._residents.runners),
            seen_at=time.time(),
            jobs_in_hand=len(self._hand),
            drain_rate=self._rates.read(),
            loaded=self._residents.report(),
        )
        if not self._residents.is_settled:
            self._residents.elsewhere = self._ledger.loaded_elsewhere()
        self._ledger.announce(stats, [runner.info for runner in self._residents.runners.values()])

    def _reclaim(self) -> None:
        requeued, lost = self._ledger.reclaim()
        if requeued or lost:
            log.warning("jobs reclaimed from a lost worker", extra={"requeued": requeued, "failed": lost})
        self._ledger.promote(self.queue_names())

    def _sweep(self) -> None:
        self._ledger.sweep()
        self._bridge.forget_dead_workers(self.queues)
        self._finisher.sweep()

    # Beginning and end

    def _start_when_redis_answers(self) -> None:
        tried = False
        while not self._stop_requested:
            try:
                if self.pubsub_thread is None:
                    if tried:  # an earlier try may have got as far as RQ's record
                        self.connection.delete(self.key)
                    tried = True
                    self.bootstrap(self._settings.log_level)
                self._give_sign_of_life()
                self._outage.end()
                return
            except RedisError as error:
                self._outage.note(error)
                time.sleep(1)

    def _spawn(self, name: str, run: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                run()
            except RedisError as error:  # its text may quote a command, so only where it was raised is told
                where = "".join(traceback.format_tb(error.__traceback__))
                fields = {"thread_of": name, "cause": cause_of(error)}
                log.error("thread died, worker stops: %s\n%s", type(error).__name__, where, extra=fields)
                self._broken = True
            except BaseException:
                log.exception("thread died, worker stops", extra={"thread_of": name})
                self._broken = True

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _drain(self, threads: Mapping[str, threading.Thread]) -> None:
        """Finish the batch on the device; give everything else back at once."""
        log.info("stopping: finishing the batch, giving the rest back")
        self._feeder.stop()
        self._preparing.stop()
        self._give_back(self._hand.give_up_waiting())
        self._device.stop()
        while threads["device"].is_alive() or threads["feeder"].is_alive():
            self._tick()
            self._give_back(self._hand.give_up_waiting())
        self._writer.stop()
        while threads["writer"].is_alive():
            self._tick()
        self._finisher.stop()
        while threads["finisher"].is_alive():
            self._tick()
        self._give_back(self._hand.give_up_waiting())

    def _give_back(self, helds: list[Held]) -> None:
        if helds:
            self._release([held.claim for held in helds])

    def _release(self, claims: list[Claim]) -> None:
        try:
            self._ledger.release(claims)
        except RedisError as error:
            log.warning(
                "cannot give jobs back, their leases will run out",
                extra={"jobs": len(claims), "cause": cause_of(error)},
            )

    def _die_hung(self) -> None:
        """A call does not return: nothing in this process can stop it. Hand the jobs over, then leave."""
        hung: list[Claim] = self._hand.running()
        if self._residents.is_loading or not self._progress.stalled:  # a load or a tokeniser hangs, not they
            self._release(hung)
            hung = []
        log.error("a call hung, worker leaves", extra={"jobs": len(hung)})
        try:
            self._ledger.reclaim(hung=hung)
            self._give_back(self._hand.give_up_waiting())
            self._finisher.stop()
            self._finisher.ended.wait(LAST_WORDS_S)
            self._ledger.withdraw()
        finally:
            os._exit(HUNG)

    def _close(self) -> None:
        try:
            self._ledger.withdraw()
            self.teardown()
        except RedisError as error:
            log.warning("could not sign off", extra={"cause": cause_of(error)})
