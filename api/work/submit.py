"""Several jobs of one request: submitted together, and canceled together."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec
from starlette.requests import Request

from api.work.queue import Queue
from jobs.errors import JobError
from jobs.job import Job, SubmitOptions, Ticket

log = logging.getLogger("mlxq.api")

NOTED_JOBS = "mlxq.job_ids"
"""Key of the ASGI scope under which the request's jobs are noted, for the access log."""


async def submit_all(
    queue: Queue, request: Request, jobs: Sequence[Job], options: SubmitOptions
) -> list[str]:
    """The ids of several jobs of one request: all are queued, or none. Raises what the queue's submit raises."""
    outcomes = await asyncio.gather(
        *(queue.submit(job, _numbered(options, index)) for index, job in enumerate(jobs)),
        return_exceptions=True,
    )
    tickets = [each for each in outcomes if isinstance(each, Ticket)]
    if len(tickets) < len(jobs):
        await cancel_all(queue, [ticket.id for ticket in tickets if ticket.created])
        raise next(each for each in outcomes if isinstance(each, BaseException))
    more = f"+{len(tickets) - 1}" if len(tickets) > 1 else ""
    request.scope[NOTED_JOBS] = f"{tickets[0].id}{more}"
    return [ticket.id for ticket in tickets]


async def cancel(queue: Queue, job_id: str) -> None:
    """Ends a job that nobody waits for any more, if the queue can be reached."""
    try:
        await queue.cancel(job_id)
    except JobError as error:
        # The caller gets its answer either way. The job's ttl and time limit end the job.
        log.warning("An abandoned job could not be canceled.", extra={"job_id": job_id, "code": error.code})


async def cancel_all(queue: Queue, job_ids: Sequence[str]) -> None:
    """Ends several jobs as `cancel` does."""
    await asyncio.gather(*(cancel(queue, job_id) for job_id in job_ids))


def _numbered(options: SubmitOptions, index: int) -> SubmitOptions:
    """Jobs of one request share its Idempotency-Key; each needs its own."""
    if options.idempotency_key is None:
        return options
    return msgspec.structs.replace(options, idempotency_key=f"{options.idempotency_key}/{index}")
