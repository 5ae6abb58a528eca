"""Getting work done for a caller: submit the job, wait for it here, or hand out its id."""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request

from api.access_log import note_jobs
from api.work.disconnect import HangUp
from api.work.gather import all_of
from api.work.queue import Queue
from api.work.submit import Terms, cancel, cancel_all, submit, submit_all, task_of, terms_of
from jobs.errors import InvalidInput, JobError, NoWorker, QueueUnavailable, ResultTimeout, ServerStopping
from jobs.job import Job, JobView, Result, SubmitOptions
from jobs.settings import Settings

log = logging.getLogger("mlxq.api")


class Done(NamedTuple):
    """Work whose result is there."""

    job_id: str
    result: Result


class Accepted(NamedTuple):
    """Work that goes on after the reply: 202. preference: what Preference-Applied says, if anything."""

    view: JobView
    preference: str | None = None


async def perform(queue: Queue, settings: Settings, request: Request, job: Job) -> Done | Accepted:
    """Does the job of a work endpoint as the headers Prefer and Idempotency-Key ask.

    Raises whatever `submit` and the queue's `wait` raise: ResultTimeout where the wait is over, and NoWorker where
    there is nobody to wait for; ClientDisconnect where the caller hung up; ServerStopping. In these four cases the job
    is canceled, if its terms say so.
    """
    terms = terms_of(request, settings)
    ticket = await submit(queue, job, terms.options)
    note_jobs(request, [ticket.id])
    if terms.respond_async:
        return await _result_or_view(queue, request, ticket.id, job, terms)
    try:
        return Done(ticket.id, await watch(queue, request, ticket.id, terms.wait_s or 0))
    except (ResultTimeout, NoWorker, ServerStopping, ClientDisconnect, asyncio.CancelledError) as error:
        if terms.cancels:
            await cancel(queue, ticket.id)
        if told := told_instead(error, terms, [ticket.id]):
            raise told from error
        raise


async def perform_all(queue: Queue, settings: Settings, request: Request, jobs: Sequence[Job]) -> list[Done]:
    """Does several jobs of one request side by side; one that fails, fails all.

    Raises what `perform` does, and InvalidInput for `Prefer: respond-async`, which can hand out one job only.
    """
    terms = terms_of(request, settings)
    refuse_async(terms)
    wait_s = terms.wait_s or 0
    job_ids = await submit_all(queue, jobs, terms.options)
    note_jobs(request, job_ids)
    try:
        with HangUp(request):
            results = await all_of(queue.wait(job_id, wait_s) for job_id in job_ids)
    except (JobError, ClientDisconnect, asyncio.CancelledError) as error:
        if terms.cancels:
            await cancel_all(queue, job_ids)
        if told := told_instead(error, terms, job_ids):
            raise told from error
        raise
    return [Done(job_id, result) for job_id, result in zip(job_ids, results, strict=True)]


async def view_of_submitted(queue: Queue, job_id: str, job: Job, options: SubmitOptions) -> JobView:
    """The job as it is; where that cannot be told, as it was submitted: its id must reach the caller."""
    try:
        return await queue.view(job_id)
    except Exception as error:  # noqa: BLE001 - an error would invite to submit it again
        log.warning("A submitted job could not be viewed.", extra={"job_id": job_id, "error": repr(error)})
        return JobView(id=job_id, status="queued", task=task_of(job), model=job.model, lane=options.lane)


async def accept(queue: Queue, job_id: str, job: Job, terms: Terms) -> Accepted:
    """The job's view, and which of the caller's preferences were heeded."""
    view = await view_of_submitted(queue, job_id, job, terms.options)
    waited = "" if terms.wait_s is None else f", wait={terms.wait_s:g}"
    return Accepted(view, f"respond-async{waited}")


async def watch(queue: Queue, request: Request, job_id: str, timeout_s: float) -> Result:
    """Waits for the job while the caller does. Raises the job's error, ResultTimeout, NoWorker, ClientDisconnect."""
    with HangUp(request):
        return await queue.wait(job_id, timeout_s)


def told_instead(error: BaseException, terms: Terms, job_ids: Sequence[str]) -> JobError | None:
    """Where the error ended the wait alone and the jobs go on: the same error, which says how to find them."""
    if not terms.keyed:
        return None
    again = "Send the same request with the same Idempotency-Key again"
    ask = f", or ask GET /v1/jobs/{job_ids[0]}." if len(job_ids) == 1 else "."
    match error:
        case ServerStopping():
            return ServerStopping(f"The server is stopping; the work is kept. {again} in a moment{ask}")
        case NoWorker():
            return NoWorker(f"{error.message} The work is kept for the next one. {again}{ask}")
        case ResultTimeout():
            return ResultTimeout(
                f"The work did not finish in {terms.wait_s or 0:g} s and goes on. {again}{ask}"
            )
        case _:
            return None


def refuse_async(terms: Terms) -> None:
    """For work of several jobs. Raises InvalidInput."""
    if terms.respond_async:
        raise InvalidInput(
            "Prefer: respond-async hands out one job, and this request is several: send them one by one.",
            param="Prefer",
        )


async def _result_or_view(
    queue: Queue, request: Request, job_id: str, job: Job, terms: Terms
) -> Done | Accepted:
    # The caller asked for a job that outlives the connection: neither a timeout nor a hang-up cancels it.
    if terms.wait_s is None:
        return await accept(queue, job_id, job, terms)
    try:
        return Done(job_id, await watch(queue, request, job_id, terms.wait_s))
    except (ResultTimeout, QueueUnavailable):
        return await accept(queue, job_id, job, terms)
