"""Vectors through the queue. What passes is waited for; a run that was killed finds its jobs again."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, TypeVar

from ingest.pipeline.failures import Remedy, remedy, waits_for
from ingest.pipeline.waits import PipelineStopped, Waits
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import JobError, UnknownJob
from jobs.job import Job, JobView, Lane, Result, SubmitOptions, Ticket

RESULT_TTL_S = 3_600
"""How long a run that was killed has to be begun again, to find what was embedded for it."""

WAIT_S = 60.0
"""A wait for a result is begun again after so long, so that a lost message costs no more."""

TRIES = 3
"""Jobs of one page, where each ends with an error of ours."""

T = TypeVar("T")


class Queue(Protocol):
    """jobs.client.queue.JobQueue, or a fake."""

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket: ...

    async def wait(self, job_id: str, timeout_s: float) -> Result: ...

    async def delete(self, job_id: str) -> JobView | None: ...


class Embedded(NamedTuple):
    """A job's result. `forget` the job when its vectors are stored."""

    job_id: str
    result: EmbedResult


class Embedder:
    """Jobs of the bulk lane, one for each call. Each page or chunk has its own, so chat need not wait for the next."""

    def __init__(self, queue: Queue, waits: Waits, *, time_limit_s: int = 600) -> None:
        self._queue = queue
        self._waits = waits
        self._time_limit_s = time_limit_s

    async def embed(self, job: EmbedJob, key: str, put_again: Callable[[], Awaitable[None]]) -> Embedded:
        """key: stands for this work, in this run and the next. put_again: puts the job's images beside the queue.

        Raises the JobError that the page is at fault for, and PipelineStopped.
        """
        failed, keys = 0, 0
        while True:
            ticket: Ticket | None = None
            try:
                ticket = await self._submit(job, f"{key} {keys}" if keys else key)
                return Embedded(ticket.id, await self._wait(ticket.id))
            except JobError as error:
                if ticket is not None:
                    await self.forget(ticket.id)  # else its key would stand for the failure
                found = remedy(error)
                failed += found in (Remedy.REPEAT, Remedy.PUT_AGAIN, Remedy.OTHER_KEY)
                if found is Remedy.STOP:
                    raise PipelineStopped(error.message) from error
                if found is Remedy.NONE or failed > TRIES:
                    raise
                if found is Remedy.PUT_AGAIN:
                    await put_again()
                if found is Remedy.LATER:
                    await self._waits.pause(*waits_for(error))
                keys += found is Remedy.OTHER_KEY

    async def forget(self, job_id: str) -> None:
        """Free what Redis keeps of an ended job."""
        with contextlib.suppress(UnknownJob):
            await self._patiently(lambda: self._queue.delete(job_id))

    async def _submit(self, job: EmbedJob, key: str) -> Ticket:
        options = SubmitOptions(
            lane=Lane.BULK,
            time_limit_s=self._time_limit_s,
            result_ttl_s=RESULT_TTL_S,
            idempotency_key=key,
            awaited=True,
        )
        return await self._patiently(lambda: self._queue.submit(job, options))

    async def _wait(self, job_id: str) -> EmbedResult:
        result = await self._patiently(lambda: self._queue.wait(job_id, WAIT_S))
        assert isinstance(result, EmbedResult)
        return result

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except JobError as error:
                if remedy(error) is not Remedy.WAIT:
                    raise
                await self._waits.pause(*waits_for(error))
