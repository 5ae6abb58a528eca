"""The RQ worker: what `rq info` sees, and the threads around the device loop."""

import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import redis
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.command import handle_command, parse_payload
from rq.utils import now as rq_now

from jobs.blobs.redis import RedisBlobs
from jobs.blobs.store import BlobStore
from jobs.catalogue.file import CatalogueFile
from jobs.commands.worker_memory import unload_target
from jobs.errors import JobStopped, TimeLimitExceeded
from jobs.results.folder import ResultFolder
from jobs.settings import Settings
from jobs.store.connection import brisk
from jobs.store.outage import Outage, cause_of
from jobs.store.serializer import MsgpackSerializer
from workers.loops.claim import ClaimLoop
from workers.loops.decode import DecodeBatch
from workers.loops.device import DeviceLoop
from workers.loops.heartbeat import Heartbeat
from workers.loops.prepare import PreparePool
from workers.loops.result import ResultLoop
from workers.loops.stream import StreamLoop
from workers.loops.watchdog import Watchdog
from workers.models.model_cache import ModelCache
from workers.models.resolve import LocalModel
from workers.queue.client import WorkerQueue
from workers.queue.execution import Claim
from workers.queue.fleet import Fleet
from workers.queue.result_store import ResultStore
from workers.queue.rq_bridge import RqBridge, stop_job_target
from workers.roster.model_host import ModelHost, RunnersByKind, rq_queues
from workers.roster.roster import Roster
from workers.runners.contract import BatchRunner, Runner
from workers.runners.generate.contract import Generator
from workers.scheduling.batch_sizes import BatchSizes, SizeMemory
from workers.scheduling.in_flight import InFlight, Reason
from workers.scheduling.packing import BatchLimits
from workers.scheduling.token_budget import TokenBudget

log = logging.getLogger(__name__)

TICK_S = 0.1
RETRY_S = 0.5
"""Between two tries to listen for RQ's commands."""
START_RETRY_S = 1
"""Between two tries to start while Redis is away."""
FLUSH_S = 5
"""A worker that leaves because of a hung call waits so long for the outcomes that are being written."""
HUNG = 70
"""Exit status of a worker whose device hung (EX_SOFTWARE)."""


class BatchWorker(SimpleWorker):
    """Drains all lanes of its models' queues in batches.

    `work` keeps the main thread: signals, heartbeat, time limits, hung calls. The claim, device, stream and result
    loops have a thread each, and a few threads prepare jobs.
    """

    log_job_description = False

    def __init__(
        self,
        connection: redis.Redis,
        model_cache: ModelCache,
        limits: Mapping[str, BatchLimits],
        settings: Settings,
        on_device: Callable[[Callable[[], None]], Any],
        *,
        depth: int = 1,
        name: str | None = None,
        outage: Outage | None = None,
        size_memory: SizeMemory | None = None,
        results: ResultFolder | None = None,
        blobs: BlobStore | None = None,
        catalogue: CatalogueFile | None = None,
        open_model: Callable[[LocalModel], Runner] | None = None,
    ) -> None:
        """on_device: runs what it is given in the thread that owns the device. depth: see DeviceLoop.

        size_memory: keeps for how large batches the device has memory.
        catalogue, open_model: models that come while it runs, and what opens them; None: none come.
        results: where large results lie; None: in Redis. blobs: where images of jobs do; None: in Redis.
        """
        runners = model_cache.runners
        queues = rq_queues(connection, runners)
        super().__init__(queues, name=name, connection=brisk(connection), serializer=MsgpackSerializer)
        batching = {model: each for model, each in runners.items() if isinstance(each, BatchRunner)}
        generators = {model: each for model, each in runners.items() if isinstance(each, Generator)}
        timeout_s = settings.batch_timeout_s
        self._settings = settings
        self._model_cache = model_cache
        self._blobs = blobs = blobs or RedisBlobs(connection, settings.blob_bytes)
        self._on_device = on_device
        outage, store = outage or Outage(), ResultStore(connection, results, settings.max_result_bytes)
        queue = self._worker_queue(connection, outage, store)
        # The main thread has connections of its own, with short time-outs: a Redis that swallows commands must keep it
        # neither from signals nor from hung calls. All that RQ itself does is done in it.
        self._queue = self._worker_queue(self.connection, outage, store)
        self._in_flight = in_flight = InFlight(
            {model: limits[model] for model in batching},
            starvation_s=settings.starvation_s,
            slots=dict.fromkeys(generators, settings.max_answers),
        )
        fleet = Fleet(connection, self.name)
        self._watchdog = Watchdog()
        bridge = RqBridge(connection, queue)
        self._result_loop = result_loop = ResultLoop(in_flight, queue, model_cache, bridge)
        self._heartbeat = self._heart(result_loop)
        self._prepare_pool = PreparePool(in_flight, queue, model_cache, result_loop, blobs, timeout_s)
        self._claim_loop = ClaimLoop(
            in_flight,
            queue,
            fleet,
            model_cache,
            self._prepare_pool,
            lambda: self._heartbeat.is_suspended or queue.outage.refuses_work,
        )
        self._stream_loop = StreamLoop(in_flight, queue, generators, result_loop)
        batch_tokens = {model: limits[model].tokens for model in batching}
        self._device_loop = self._new_device_loop(batching, generators, batch_tokens, size_memory, depth)
        self._roster: Roster | None = None
        if catalogue and open_model:
            kinds = RunnersByKind(batching, generators, next(iter(limits.values())))
            self._roster = Roster(catalogue, self._model_host(kinds, open_model), model_cache)
        self._thread_died = False
        self._ticked_at = time.monotonic()

    def _model_host(self, kinds: RunnersByKind, open_model: Callable[[LocalModel], Runner]) -> ModelHost:
        return ModelHost(
            self,
            self._settings.lease_s,
            self._settings.max_answers,
            self._in_flight,
            self._device_loop,
            self._heartbeat,
            self._model_cache,
            kinds,
            open_model,
        )

    def _new_device_loop(
        self,
        batching: Mapping[str, BatchRunner],
        generators: Mapping[str, Generator],
        batch_tokens: Mapping[str, int],
        size_memory: SizeMemory | None,
        depth: int,
    ) -> DeviceLoop:
        return DeviceLoop(
            self._in_flight,
            batching,
            self._watchdog,
            self._result_loop,
            DecodeBatch(self._in_flight, generators, self._stream_loop.publish, self._result_loop),
            TokenBudget(batching, self._settings.token_interval_ms / 1000),
            BatchSizes(batch_tokens, size_memory),
            self._model_cache,
            batch_timeout_s=self._settings.batch_timeout_s,
            depth=depth,
        )

    def _worker_queue(self, connection: redis.Redis, outage: Outage, results: ResultStore) -> WorkerQueue:
        lease_s, max_crashes = self._settings.lease_s, self._settings.max_crashes
        return WorkerQueue(
            connection, self.name, lease_s=lease_s, max_crashes=max_crashes, outage=outage, results=results
        )

    def _heart(self, result_loop: ResultLoop) -> Heartbeat:
        fleet, bridge = Fleet(self.connection, self.name), RqBridge(self.connection, self._queue)
        return Heartbeat(
            self,
            self._queue,
            fleet,
            self._in_flight,
            self._model_cache,
            result_loop,
            bridge,
            self._blobs,
            self._settings,
        )

    def work(self, *_: Any, **__: Any) -> bool:
        """Work until SIGTERM or SIGINT. Returns whether the worker ended in good order."""
        self._install_signal_handlers()
        self._start_when_redis_answers()
        threads = {
            "claim": self._spawn("claim", self._claim_loop.run),
            "stream": self._spawn("stream", self._stream_loop.run),
            "result": self._spawn("result", self._result_loop.run),
            "device": self._spawn("device", lambda: self._on_device(self._device_loop.run)),
        }
        try:
            while not self._stop_requested and not self._is_broken:
                self._tick()
            self._drain(threads)
        finally:
            self._prepare_pool.stop()
            self._claim_loop.stop()  # also when a second signal or an error cut the warm shutdown short
            self._device_loop.stop()
            self._stream_loop.stop()
            self._result_loop.stop()
            self._close()
        return not self._is_broken

    def _set_connection(self, connection: redis.Redis) -> redis.Redis:
        """RQ would let every command take seven minutes, for its own blocking pop."""
        return connection

    @property
    def _is_broken(self) -> bool:
        return self._thread_died or self._heartbeat.is_broken

    def _tick(self) -> None:
        time.sleep(TICK_S)
        gap_s, self._ticked_at = time.monotonic() - self._ticked_at, time.monotonic()
        if gap_s > 10 * TICK_S:  # the whole process slept
            self._watchdog.extend(gap_s)
            self._prepare_pool.extend(gap_s)
        self._prepare_pool.look_after()
        if self._watchdog.is_expired or self._prepare_pool.is_stuck:
            self._leave_hung()
        for active in self._in_flight.begin_finish_overdue():
            self._result_loop.fail(active, TimeLimitExceeded())
        self._heartbeat.beat()
        if self._roster is not None:
            try:
                self._roster.tick()
            except RedisError as error:
                self._queue.outage.note(error)

    # Signals and RQ's commands

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Warm shutdown; a second signal after a second ends the process at once (RQ's request_force_stop)."""
        self._shutdown_requested_date = rq_now()
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)
        self._stop_requested = True

    def handle_payload(self, message: Any) -> None:
        """RQ's commands. stop-job may name any of the jobs in flight, not one current job."""
        try:
            payload = parse_payload(message)
            job_id, model = stop_job_target(payload), unload_target(payload)
            if model is not None:
                self._model_cache.let_go(model)
                self._in_flight.wake_claim_loop()
                return
            if job_id is None:
                handle_command(self, payload)
                return
        except (ValueError, TypeError, KeyError, AttributeError):
            log.warning("a command is unreadable and ignored", exc_info=True)
            return
        named = self._in_flight.named(job_id)
        if payload["command"] == "stop-job":
            for active in self._in_flight.begin_finish(named):
                self._result_loop.fail(active, JobStopped())
        else:
            self._in_flight.remove(named, Reason.CANCELED)

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Listening for commands goes on when Redis is back; RQ's own handler gives up where it only was silent."""
        if not isinstance(exc, RedisError | OSError):
            raise exc
        self._queue.outage.note(exc)
        time.sleep(RETRY_S)

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
                self._heartbeat.begin()
                return
            except RedisError as error:
                self._queue.outage.note(error)
                time.sleep(START_RETRY_S)

    def _spawn(self, name: str, run: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                run()
            except RedisError as error:  # its text may quote a command, so only where it was raised is logged
                fields = {
                    "thread_of": name,
                    "error": type(error).__name__,
                    "cause": cause_of(error),
                    "where": "".join(traceback.format_tb(error.__traceback__)),
                }
                log.error("thread died, worker stops", extra=fields)
                self._thread_died = True
            except BaseException:
                log.exception("thread died, worker stops", extra={"thread_of": name})
                self._thread_died = True

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _drain(self, threads: Mapping[str, threading.Thread]) -> None:
        """Finish the batch on the device; give everything else back at once."""
        log.info("stopping: finishing the batch, giving the rest back")
        self._claim_loop.stop()
        self._prepare_pool.stop()
        self._give_back_waiting()
        self._device_loop.stop()
        while threads["device"].is_alive() or threads["claim"].is_alive():
            self._tick()
            self._give_back_waiting()
        self._stream_loop.stop()
        while threads["stream"].is_alive():
            self._tick()
        self._result_loop.stop()
        while threads["result"].is_alive():
            self._tick()
        self._give_back_waiting()

    def _give_back_waiting(self) -> None:
        """Jobs of which nothing is on the device."""
        waiting = self._in_flight.remove(self._in_flight.jobs(), Reason.WORKER_STOPS)
        self._release([active.claim for active in waiting])

    def _release(self, claims: Sequence[Claim]) -> None:
        try:
            self._queue.release(claims)
        except RedisError as error:
            log.warning(
                "cannot give jobs back now, they go back when this worker has left or its lease has ended",
                extra={"jobs": len(claims), "cause": cause_of(error)},
            )

    def _leave_hung(self) -> None:
        """A call does not return: nothing in this process can stop it. Hand the jobs over, then leave."""
        self._claim_loop.stop()
        self._device_loop.stop()  # no job that waits now is on the device a moment later
        self._give_back_waiting()
        hung = [active.claim for active in self._in_flight.on_device()]
        # A load or a tokeniser hangs, not these jobs.
        if self._model_cache.is_loading or not self._watchdog.is_expired:
            self._release(hung)
            hung = []
        log.error("a call hung, worker leaves", extra={"jobs": len(hung)})
        try:
            self._queue.reclaim_hung(hung)
            self._give_back_waiting()
            self._result_loop.stop()
            self._result_loop.all_written.wait(FLUSH_S)
            self._queue.leave()
        finally:
            os._exit(HUNG)

    def _close(self) -> None:
        try:
            self._queue.leave(in_order=not self._is_broken)
            self.teardown()
        except RedisError as error:
            log.warning("could not sign off", extra={"cause": cause_of(error)})
