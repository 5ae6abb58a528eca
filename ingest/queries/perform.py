"""Jobs that a search waits for: before all others, and no longer than a request may."""

import asyncio
import contextlib
import math
from typing import Protocol

from jobs.errors import JobError, ResultTimeout
from jobs.job import Job, Lane, Result, SubmitOptions, Ticket
from jobs.models import ModelInfo
from jobs.settings import Settings


class Queue(Protocol):
    """What searches ask of a queue: JobQueue (jobs.client.queue) in service, MemoryQueue in tests."""

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket: ...

    async def wait(self, job_id: str, timeout_s: float) -> Result: ...

    async def cancel(self, job_id: str) -> bool: ...

    async def model(self, name: str, task: str | None = None) -> ModelInfo: ...

    async def models(self) -> tuple[ModelInfo, ...]: ...


async def perform(queue: Queue, job: Job, settings: Settings) -> Result:
    """The job's result. It is canceled where nobody waits for it any more.

    Raises: what the queue's `submit` and `wait` raise.
    """
    options = SubmitOptions(
        lane=Lane.INTERACTIVE,
        time_limit_s=settings.time_limit_s,
        ttl_s=math.ceil(settings.wait_s),
        result_ttl_s=settings.sync_result_ttl_s,
        awaited=True,
    )
    ticket = await queue.submit(job, options)
    try:
        return await queue.wait(ticket.id, settings.wait_s)
    except (ResultTimeout, asyncio.CancelledError):
        with contextlib.suppress(JobError):
            await queue.cancel(ticket.id)
        raise
