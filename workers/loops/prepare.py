"""Turns claimed jobs into items for the device, in threads of their own: no job waits for another one's text."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redis.exceptions import RedisError

from jobs.blobs.of_job import blobs_of, with_images
from jobs.blobs.store import BlobStore
from jobs.errors import InternalError, InvalidInput, JobError, ModelChanged, TimeLimitExceeded
from jobs.generate import GenerateJob
from jobs.job import Job, Result
from jobs.process.processor import cores, lower_priority
from jobs.store import record
from workers.loops.result import ResultLoop
from workers.models.ask_runner import Made, ask_runner
from workers.models.model_cache import ModelCache
from workers.queue.client import WorkerQueue
from workers.runners.generate.answer import Answer
from workers.scheduling.active_job import ActiveJob, Prepared, Status, without_inputs
from workers.scheduling.in_flight import InFlight

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_S = 0.5
"""Jobs that are prepared together take milliseconds. After so long, one of them is at fault: each is tried alone."""

MAX_JOBS = 256
MAX_BYTES = 1 << 16
"""Of jobs that are prepared together: what comes next waits for them."""

SHORT_BYTES = 1 << 12
"""Of a lane's jobs, those with less go before the others: tokenising them takes no time that these would notice."""

SLOW_THREADS = min(8, max(2, cores()))
"""For jobs that are prepared one at a time: large ones, and those with grammars. Calls that take longer than PATIENCE_S
or whose jobs are not wanted any more are not among them."""

MAX_OVERDUE = 4
"""Such calls beside those: each takes a share of the processor, and the memory of a large job."""

MAX_STUCK = 8
"""Calls that do not return. Nothing in this process can stop them, so a worker with more of them is started anew."""

RETRY_S = 0.2
"""Between two tries while Redis is away."""


@dataclass(eq=False)
class _Call:
    """Jobs of one model that are being prepared in one thread.

    Times are by time.monotonic, and infinite while the call waits for Redis.
    """

    active_jobs: list[ActiveJob]
    slow: bool
    """It is one job of the slow line."""
    replaced: bool = False
    """Another thread has taken the place of this one, which ends with the call."""
    began: float = math.inf
    deadline: float = math.inf
    """When a single job fails. Its caller may have set it."""
    hung_at: float = math.inf
    """From then on it counts as a call that does not return."""

    def begin(self, timeout_s: float) -> None:
        """Its time starts."""
        self.began = time.monotonic()
        self.hung_at = self.began + timeout_s
        limit_s = self.active_jobs[0].claim.time_limit_s if len(self.active_jobs) == 1 else timeout_s
        self.deadline = self.began + min(timeout_s, limit_s)


class PreparePool:
    """Has threads of its own, for two lines of jobs. `add` belongs to the claim loop, `look_after` to the main thread.

    In the quick line one thread takes all that waits for a model, so that all cores work on it. In the slow line each
    job has a thread to itself; lower lanes take none of the threads that higher ones may have.
    """

    def __init__(
        self,
        in_flight: InFlight,
        queue: WorkerQueue,
        model_cache: ModelCache,
        result_loop: ResultLoop,
        blobs: BlobStore,
        timeout_s: float,
    ) -> None:
        """timeout_s: for one job."""
        self._in_flight = in_flight
        self._preparer = _Preparer(in_flight, queue, model_cache, result_loop, blobs)
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._quick: list[ActiveJob] = []
        self._slow: list[ActiveJob] = []
        self._calls: list[_Call] = []
        self._stopping = False
        self._has_quick_thread = False

    def stop(self) -> None:
        """Threads end after what they are at."""
        self._preparer.stop()
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def add(self, active_jobs: Sequence[ActiveJob]) -> None:
        """Have these jobs prepared: highest lane first, then in their order."""
        with self._changed:
            self._quick += [active for active in active_jobs if not active.is_large]
            self._quick.sort(key=_turn)
            if self._quick and not self._has_quick_thread:
                self._has_quick_thread = True
                self._start_thread(self._run_quick)
            for active in active_jobs:
                if active.is_large:
                    self._add_slow(active)
            self._changed.notify_all()

    def look_after(self) -> None:
        """Called often: sees to calls that take long. Jobs that cannot be prepared in time fail."""
        now = time.monotonic()
        with self._changed:
            late = [call for call in self._calls if now > call.deadline]
            for call in self._calls:
                if not call.slow and not call.replaced and now > call.began + PATIENCE_S:
                    self._replace(call)
            self._begin_slow()
        for call in late:
            if len(call.active_jobs) == 1:
                self._give_up(call.active_jobs[0])

    def extend(self, seconds: float) -> None:
        """The whole process slept (SIGSTOP, a closed lid): not the jobs' fault."""
        with self._changed:
            for call in self._calls:
                call.began += seconds
                call.deadline += seconds
                call.hung_at += seconds

    @property
    def is_stuck(self) -> bool:
        """Whether so many calls hang that the process should be started anew."""
        now = time.monotonic()
        with self._changed:
            return sum(now > call.hung_at for call in self._calls) >= MAX_STUCK

    # The two lines. All of it is called with the lock.

    def _add_slow(self, active: ActiveJob) -> None:
        self._slow.append(active)
        self._slow.sort(key=_turn)
        self._in_flight.set_prepared_alone(active)
        self._begin_slow()

    def _begin_slow(self) -> None:
        """Each job of the slow line that may have a thread now gets one."""
        while self._slow and not self._stopping and self._may_begin(self._slow[0]):
            call = _Call([self._slow.pop(0)], slow=True)
            self._calls.append(call)
            self._start_thread(self._run_slow, call)

    def _may_begin(self, active: ActiveJob) -> bool:
        """Calls that hang do not count: a worker with too many of them is started anew."""
        now = time.monotonic()
        calls = [
            call
            for call in self._calls
            if call.slow and now <= call.hung_at and call.active_jobs[0].rank[0] <= active.rank[0]
        ]
        prompt = [call for call in calls if now <= call.began + PATIENCE_S and call.active_jobs[0].is_wanted]
        return len(prompt) < SLOW_THREADS and len(calls) < SLOW_THREADS + MAX_OVERDUE

    def _take_quick(self) -> _Call | None:
        if not self._quick:
            return None
        model, active_jobs, size_bytes = self._quick[0].model, list[ActiveJob](), 0
        for active in self._quick:
            if active.model == model and len(active_jobs) < MAX_JOBS and size_bytes < MAX_BYTES:
                active_jobs.append(active)
                size_bytes += len(active.claim.data or b"")
        taken = set(map(id, active_jobs))
        self._quick = [active for active in self._quick if id(active) not in taken]
        call = _Call(active_jobs, slow=False)
        call.begin(self._timeout_s)
        self._calls.append(call)
        return call

    def _replace(self, call: _Call) -> None:
        """Go on in another thread; of several jobs, find the one at fault."""
        call.replaced = True
        if not self._stopping:
            self._start_thread(self._run_quick)
        if len(call.active_jobs) > 1:
            for active in call.active_jobs:
                self._add_slow(active)

    # In threads of their own

    def _start_thread(self, run: Callable[..., None], *arguments: _Call) -> None:
        threading.Thread(target=run, args=arguments, name="prepare", daemon=True).start()

    def _run_quick(self) -> None:
        call: _Call | None = None
        while call is None or not call.replaced:
            with self._changed:
                while (call := self._take_quick()) is None and not self._stopping:
                    self._changed.wait()
                if call is None:
                    return
            self._run(call)

    def _run_slow(self, call: _Call) -> None:
        lower_priority()
        self._run(call)
        with self._changed:
            self._begin_slow()

    def _run(self, call: _Call) -> None:
        due = [active for active in call.active_jobs if active.status is Status.CLAIMED]
        put_off = None if call.slow else self._put_off
        try:
            self._preparer.prepare(due, lambda: self._begin(call), put_off)
        except Exception:
            log.exception("jobs could not be prepared", extra={"jobs": len(call.active_jobs)})
            for active in call.active_jobs:
                self._preparer.refuse(active, InternalError())
        with self._changed:
            self._calls.remove(call)

    def _begin(self, call: _Call) -> None:
        """The data of a job is there: waiting for Redis is no part of its time."""
        if call.slow:
            with self._changed:
                call.begin(self._timeout_s)

    def _put_off(self, active: ActiveJob) -> None:
        with self._changed:
            self._add_slow(active)

    def _give_up(self, active: ActiveJob) -> None:
        if active.status is Status.CLAIMED:
            log.error("a job takes too long to prepare", extra={"job_id": active.claim.id})
            error = TimeLimitExceeded("The input could not be made ready within the time limit.")
            self._preparer.refuse(active, error)


class _Preparer:
    """What the threads of the PreparePool do, several at a time: decodes jobs, and has a runner prepare them."""

    def __init__(
        self,
        in_flight: InFlight,
        queue: WorkerQueue,
        model_cache: ModelCache,
        result_loop: ResultLoop,
        blobs: BlobStore,
    ) -> None:
        self._in_flight = in_flight
        self._queue = queue
        self._model_cache = model_cache
        self._result_loop = result_loop
        self._blobs = blobs
        self._reading = threading.Lock()
        """Reading a large job holds Python's own lock: two at once would hold up all threads twice."""
        self._stopping = False

    def stop(self) -> None:
        """Jobs that are not decoded yet are left as they are: the worker gives them back."""
        self._stopping = True

    def prepare(
        self,
        active_jobs: Sequence[ActiveJob],
        begin: Callable[[], None],
        put_off: Callable[[ActiveJob], None] | None,
    ) -> None:
        """Prepare jobs of one model. begin: called when a job's data is there. put_off: takes a job that may take long;
        None where such jobs are prepared, too.
        """
        decoded: list[tuple[ActiveJob, Job]] = []
        for active in active_jobs:
            job = self._read(active, begin)
            if job is None:
                continue
            if put_off is not None and (
                blobs_of(job) or (isinstance(job, GenerateJob) and job.needs_grammar)
            ):
                put_off(active)
            elif (whole := job if put_off else self._with_images(active, job, begin)) is not None:
                decoded.append((active, whole))
        if decoded:
            prepared = ask_runner(self._model_cache.runner(decoded[0][0].model), decoded)
            for (active, job), items in zip(decoded, prepared, strict=True):
                self._hand_over(active, job, items)

    def refuse(self, active: ActiveJob, error: JobError) -> None:
        """It fails, unless it has been prepared or left meanwhile."""
        if self._in_flight.begin_finish([active], only_claimed=True):
            self._result_loop.fail(active, error)

    def _read(self, active: ActiveJob, begin: Callable[[], None]) -> Job | None:
        """What is asked. None where it is refused, or the worker stops."""
        if error := self._model_cache.failure(active.model) or self._changed(active):
            self.refuse(active, error)
            return None
        if not active.is_large:
            return self._decode(active, active.claim.data, begin)
        with self._reading:
            data = self._patiently(
                active, lambda: self._queue.data(active.claim)
            )  # the claim has left it there
            return self._decode(active, data, begin)

    def _changed(self, active: ActiveJob) -> JobError | None:
        """Whether another model than this one began the job's answer. What was sent of it cannot be taken back, and
        another model's words do not go on from there.
        """
        begun_by = active.resumes_from[0].digest if active.resumes_from else ""
        ours = self._model_cache.runner(active.model).info.digest
        return ModelChanged() if begun_by and ours and begun_by != ours else None

    def _decode(self, active: ActiveJob, data: bytes | None, begin: Callable[[], None]) -> Job | None:
        begin()
        if self._stopping:
            return None
        try:
            job = record.decode_job(data)
        except JobError as error:
            self.refuse(active, error)
            return None
        active.note_decoded(job)
        return job

    def _with_images(self, active: ActiveJob, job: Job, begin: Callable[[], None]) -> Job | None:
        """With what lies beside the queue. None where that is gone, or the worker stops."""
        if not blobs_of(job):
            return job
        try:
            whole = self._patiently(active, lambda: with_images(job, self._blobs))
        except JobError as error:
            return self.refuse(active, error)
        begin()
        return whole

    def _patiently(self, active: ActiveJob, read: Callable[[], T]) -> T | None:
        """What it reads of Redis, which is waited for as long as the job is ours."""
        while True:
            try:
                return read()
            except RedisError as error:
                self._queue.outage.note(error)
                if self._stopping or not active.is_wanted:
                    return None
                time.sleep(RETRY_S)

    def _hand_over(self, active: ActiveJob, job: Job, items: Made) -> None:
        if isinstance(items, Result):
            if self._in_flight.begin_finish([active], only_claimed=True):
                self._result_loop.end(active, items)
        elif isinstance(items, JobError):
            self.refuse(active, items)
        elif not items:
            self.refuse(active, InvalidInput("The job has no inputs.", param="input"))
        elif active.stream_is_broken:
            self.refuse(active, InternalError("The beginning of this answer is lost. Ask again."))
        else:
            for answer in items if active.resumes_from else ():
                assert isinstance(answer, Answer), "only generating jobs have streams"
                answer.resume_from(active.resumes_from)
            kept = without_inputs(job) if active.is_large or active.prepared_alone else job
            self._in_flight.make_ready(active, Prepared(kept, items, [None] * len(items)))


def _turn(active: ActiveJob) -> tuple[int, bool, int]:
    """Smaller is prepared earlier: by lane, and in it short jobs before long ones."""
    lane, order = active.rank
    return lane, active.is_large or len(active.claim.data or b"") > SHORT_BYTES, order
