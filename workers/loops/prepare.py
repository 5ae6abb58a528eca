"""Turns claimed jobs into items for the device."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace
from redis.exceptions import RedisError

from jobs.embed import EmbedJob
from jobs.errors import InternalError, InvalidInput, JobError
from jobs.generate import Chat, GenerateJob, Prompt
from jobs.job import Job, Result
from jobs.rerank import RerankJob
from jobs.store import record
from workers.loops.result import ResultLoop
from workers.models.model_cache import ModelCache
from workers.queue.client import WorkerQueue
from workers.runners.generate.answer import Answer
from workers.scheduling.active_job import ActiveJob, Prepared
from workers.scheduling.in_flight import InFlight

log = logging.getLogger(__name__)

RETRY_S = 0.2
"""Between two tries while Redis is away."""


class Preparer:
    """Called by the threads of the PreparePool, several at a time: decodes jobs, and has a runner prepare them."""

    def __init__(
        self,
        in_flight: InFlight,
        queue: WorkerQueue,
        model_cache: ModelCache,
        result_loop: ResultLoop,
    ) -> None:
        self._in_flight = in_flight
        self._queue = queue
        self._model_cache = model_cache
        self._result_loop = result_loop
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
            if put_off is not None and _takes_long(job):
                put_off(active)
            else:
                decoded.append((active, job))
        if decoded:
            prepared = self._run_prepare(decoded)
            for (active, job), items in zip(decoded, prepared, strict=True):
                self._hand_over(active, job, items)

    def refuse(self, active: ActiveJob, error: JobError) -> None:
        """It fails, unless it has been prepared or left meanwhile."""
        if self._in_flight.begin_finish([active], only_claimed=True):
            self._result_loop.fail(active, error)

    def _read(self, active: ActiveJob, begin: Callable[[], None]) -> Job | None:
        """What is asked. None where it is refused, or the worker stops."""
        if error := self._model_cache.failure(active.model):
            self.refuse(active, error)
            return None
        if not active.is_large:
            return self._decode(active, active.claim.data, begin)
        with self._reading:
            return self._decode(active, self._data(active), begin)

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

    def _data(self, active: ActiveJob) -> bytes | None:
        """A large job's, which the claim left in Redis. Waits for Redis as long as the job is ours."""
        while True:
            try:
                return self._queue.data(active.claim)
            except RedisError as error:
                self._queue.outage.note(error)
                if self._stopping or not active.is_wanted:
                    return None
                time.sleep(RETRY_S)

    def _run_prepare(
        self, decoded: Sequence[tuple[ActiveJob, Job]]
    ) -> Sequence[Sequence[Any] | Result | JobError]:
        """What the runner makes of each job, in order. All are of one model."""
        active = decoded[0][0]
        try:
            return self._model_cache.runners[active.model].prepare([job for _, job in decoded])
        except Exception:  # one job must not take its neighbours down
            if len(decoded) > 1:
                return [self._run_prepare([each])[0] for each in decoded]
            log.exception("job cannot be prepared", extra={"job_id": active.claim.id})
            return [InternalError()]

    def _hand_over(self, active: ActiveJob, job: Job, items: Sequence[Any] | Result | JobError) -> None:
        if isinstance(items, Result):
            if self._in_flight.begin_finish([active], only_claimed=True):
                self._result_loop.end(active, items)
        elif isinstance(items, JobError):
            self.refuse(active, items)
        elif not items:
            self.refuse(active, InvalidInput("The job has no inputs.", param="input"))
        else:
            for answer in items if active.resumes_from else ():
                assert isinstance(answer, Answer), "only generating jobs have streams"
                answer.resume_from(active.resumes_from)
            kept = _without_inputs(job) if active.is_large else job
            self._in_flight.make_ready(active, Prepared(kept, items, [None] * len(items)))


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
