"""Turns claimed jobs into items for the device, in threads of its own: no job waits for another one's text."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from redis.exceptions import RedisError

from jobs.embed import EmbedJob
from jobs.errors import InternalError, InvalidInput, JobError, TimeLimitExceeded
from jobs.generate import Chat, GenerateJob, Prompt
from jobs.job import Job, Result
from jobs.rerank import RerankJob
from jobs.store import record
from workers.models.model_cache import Residents
from workers.processor import cores, lower_priority
from workers.queue.client import Ledger
from workers.runners.generate.answer import Answer
from workers.scheduling.in_flight import Hand, Held

log = logging.getLogger(__name__)

PATIENCE_S = 0.5
"""Jobs that are prepared together take milliseconds. After so long, one of them is at fault: each is tried alone."""

MAX_JOBS = 256
MAX_BYTES = 1 << 18
"""Of jobs that are prepared together."""

SLOW_THREADS = min(8, max(2, cores()))
"""For jobs that are prepared one at a time: large ones, and those with grammars. Calls that take longer than PATIENCE_S
or whose jobs are not wanted any more are not among them."""

MAX_OVERDUE = 4
"""Such calls beside those: each takes a share of the processor, and the memory of a large job."""

MAX_STUCK = 8
"""Calls that do not return. Nothing in this process can stop them, so a worker with more of them is started anew."""


@dataclass(eq=False)
class _Call:
    """Jobs of one model that are being prepared in one thread. Times are by time.monotonic, and infinite while the
    call waits for Redis. deadline: when a single job fails; its caller may have set it. hung_at: from then on the call
    counts as one that does not return. replaced: another thread has taken this one's place, which ends with the call.
    """

    helds: list[Held]
    slow: bool
    replaced: bool = False
    began: float = math.inf
    deadline: float = math.inf
    hung_at: float = math.inf

    def begin(self, timeout_s: float) -> None:
        self.began = time.monotonic()
        self.hung_at = self.began + timeout_s
        limit_s = self.helds[0].claim.time_limit_s if len(self.helds) == 1 else timeout_s
        self.deadline = self.began + min(timeout_s, limit_s)


class Preparing:
    """Two lines. In the quick one a thread takes all that waits for a model, so that all cores work on it. In the slow
    one each job has a thread to itself; lower lanes take none of the threads that higher ones may have.

    fail, end: for a job that is not for the device after all. timeout_s: for one job.
    """

    def __init__(
        self,
        hand: Hand,
        ledger: Ledger,
        residents: Residents,
        fail: Callable[[Held, JobError], None],
        end: Callable[[Held, Result], None],
        *,
        timeout_s: float,
    ) -> None:
        self._hand = hand
        self._ledger = ledger
        self._residents = residents
        self._fail = fail
        self._end = end
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._quick: list[Held] = []
        self._slow: list[Held] = []
        self._calls: list[_Call] = []
        self._stopping = False
        self._reading = (
            threading.Lock()
        )  # reading a large job holds Python's lock: two at once hold everybody up twice
        self._quick_threads = 0

    def stop(self) -> None:
        """Threads end after what they are at."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def add(self, helds: Sequence[Held]) -> None:
        """Have these jobs prepared: highest lane first, then in their order."""
        with self._changed:
            for held in helds:
                self._queue(held, slow=held.claim.data is None)
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
            if len(call.helds) == 1:
                self._give_up(call.helds[0])

    def forgive(self, seconds: float) -> None:
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

    def _queue(self, held: Held, *, slow: bool) -> None:
        line = self._slow if slow else self._quick
        line.append(held)
        line.sort(key=lambda each: each.rank)
        if slow:
            self._hand.set_apart(held)
            self._begin_slow()
        elif not self._quick_threads:
            self._quick_threads = 1
            self._start_thread(self._run_quick)

    def _begin_slow(self) -> None:
        """Each job of the slow line that may have a thread now gets one."""
        while self._slow and not self._stopping and self._may_begin(self._slow[0]):
            call = _Call([self._slow.pop(0)], slow=True)
            self._calls.append(call)
            self._start_thread(self._run_slow, call)

    def _may_begin(self, held: Held) -> bool:
        """Calls that hang do not count: a worker with too many of them is started anew."""
        now = time.monotonic()
        calls = [
            call
            for call in self._calls
            if call.slow and now <= call.hung_at and call.helds[0].rank[0] <= held.rank[0]
        ]
        prompt = [
            call for call in calls if now <= call.began + PATIENCE_S and self._hand.is_wanted(call.helds[0])
        ]
        return len(prompt) < SLOW_THREADS and len(calls) < SLOW_THREADS + MAX_OVERDUE

    def _take_quick(self) -> _Call | None:
        if not self._quick:
            return None
        model, helds, size_bytes = self._quick[0].model, list[Held](), 0
        for held in self._quick:
            if held.model == model and len(helds) < MAX_JOBS and size_bytes < MAX_BYTES:
                helds.append(held)
                size_bytes += len(held.claim.data or b"")
        taken = set(map(id, helds))
        self._quick = [held for held in self._quick if id(held) not in taken]
        call = _Call(helds, slow=False)
        call.begin(self._timeout_s)
        self._calls.append(call)
        return call

    def _replace(self, call: _Call) -> None:
        """Go on in another thread; of several jobs, find the one at fault."""
        call.replaced = True
        if not self._stopping:
            self._start_thread(self._run_quick)
        if len(call.helds) > 1:
            for held in call.helds:
                self._queue(held, slow=True)

    # In threads of their own

    def _start_thread(self, run: Callable[..., None], *arguments: _Call) -> None:
        threading.Thread(target=run, args=arguments, name="preparing", daemon=True).start()

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
        try:
            self._prepare([held for held in call.helds if self._is_due(held)], call)
        except Exception:
            log.exception("jobs could not be prepared", extra={"jobs": len(call.helds)})
            for held in call.helds:
                self._refuse(held, InternalError())
        with self._changed:
            self._calls.remove(call)

    def _is_due(self, held: Held) -> bool:
        return not held.prepared and self._hand.is_wanted(held)

    def _prepare(self, helds: Sequence[Held], call: _Call) -> None:
        readable = [held for held in helds if self._read(held, call)]
        if readable:
            self._hand_over(readable, self._prepared(readable))

    def _read(self, held: Held, call: _Call) -> bool:
        """Decode the job. False where it is refused, or is one for the slow line."""
        if error := self._residents.failure(held.model):
            self._refuse(held, error)
            return False
        if not held.is_large:
            return self._decode(held, held.claim.data, call)
        with self._reading:
            return self._decode(held, self._data(held), call)

    def _decode(self, held: Held, data: bytes | None, call: _Call) -> bool:
        if call.slow:
            with self._changed:
                call.begin(self._timeout_s)
        if self._stopping:  # it is given back
            return False
        try:
            held.job = record.decode_job(data)
        except JobError as error:
            self._refuse(held, error)
            return False
        if not call.slow and _takes_long(held.job):
            with self._changed:
                self._queue(held, slow=True)
            return False
        return True

    def _data(self, held: Held) -> bytes | None:
        """A large job's, which the claim left in Redis. Waits for Redis as long as the job is ours."""
        while True:
            try:
                return self._ledger.data(held.claim)
            except RedisError as error:
                self._ledger.outage.note(error)
                if self._stopping or not self._hand.is_wanted(held):
                    return None
                time.sleep(0.2)

    def _prepared(self, helds: Sequence[Held]) -> Sequence[Sequence[Any] | Result | JobError]:
        runner = self._residents.runners[helds[0].model]
        jobs = [held.job for held in helds]
        try:
            return runner.prepare(jobs)
        except Exception:  # one job must not take its neighbours down
            if len(helds) > 1:
                return [self._prepared([held])[0] for held in helds]
            log.exception("job cannot be prepared", extra={"job_id": helds[0].claim.id})
            return [InternalError()]

    def _hand_over(
        self, helds: Sequence[Held], prepared: Sequence[Sequence[Any] | Result | JobError]
    ) -> None:
        for held, items in zip(helds, prepared, strict=True):
            if isinstance(items, Result):
                if self._hand.decline(held):
                    self._end(held, items)
            elif isinstance(items, JobError):
                self._refuse(held, items)
            elif not items:
                self._refuse(held, InvalidInput("The job has no inputs.", param="input"))
            else:
                for answer in items if held.told_before else ():
                    assert isinstance(answer, Answer), "only generating jobs have streams"
                    answer.go_on_from(held.told_before)
                if held.is_large and held.job is not None:
                    held.job = _without_inputs(held.job)
                self._hand.offer(held, items)

    def _refuse(self, held: Held, error: JobError) -> None:
        if self._hand.decline(held):
            self._fail(held, error)

    def _give_up(self, held: Held) -> None:
        if not held.prepared and self._hand.is_wanted(held):
            log.error("a job takes too long to prepare", extra={"job_id": held.claim.id})
            self._refuse(held, TimeLimitExceeded("The input could not be made ready within the time limit."))


def _takes_long(job: Job) -> bool:
    """Whether it may take long to prepare however short it is: a grammar is compiled for it."""
    if not isinstance(job, GenerateJob):
        return False
    return job.format is not None or (isinstance(job.prompt, Chat) and _has_strict_calls(job.prompt))


def _has_strict_calls(chat: Chat) -> bool:
    """Whether calls are kept to a schema."""
    return chat.tool_choice == "required" or (
        chat.tool_choice == "auto" and any(tool.strict for tool in chat.tools)
    )


def _without_inputs(job: Job) -> Job:
    """What its result is made from: the items have the rest, of which a limit may have left little."""
    if isinstance(job, EmbedJob):
        return replace(job, inputs=())
    if isinstance(job, RerankJob):
        return replace(job, query="", documents=())
    return replace(job, prompt=Prompt(""))
