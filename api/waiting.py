"""Getting work done for a caller: submit the job, wait for it here, or hand out its id."""

import asyncio
import logging
import math
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request

from api.hang_up import HangUp
from api.prefer import Prefer, parse_prefer
from api.queue import Queue
from jobs.errors import InvalidInput, JobError, QueueUnavailable, ResultTimeout
from jobs.settings import Settings
from jobs.types import Job, JobView, Lane, Result, SubmitOptions

log = logging.getLogger("mlxq.api")

_MAX_KEY_CHARACTERS = 255


class Accepted(NamedTuple):
    """Work that goes on after the reply: 202. preference: what Preference-Applied says, if anything."""

    view: JobView
    preference: str | None = None


async def perform(queue: Queue, settings: Settings, request: Request, job: Job) -> Result | Accepted:
    """Does the job of a work endpoint as the headers Prefer and Idempotency-Key ask.

    Raises whatever the queue raises; ResultTimeout where the wait is over; ClientDisconnect where the caller
    hung up. In both of these cases the job is canceled, unless it bears an Idempotency-Key: a key is the
    promise that the same request, sent again, finds the same job.
    """
    prefer = parse_prefer(request.headers.getlist("prefer"))
    key = idempotency_key(request)
    if prefer.respond_async:
        return await _perform_async(queue, settings, request, job, key, prefer)
    wait_s = settings.wait_s if prefer.wait_s is None else min(prefer.wait_s, settings.wait_s)
    ticket = await queue.submit(job, _sync_options(settings, wait_s, key))
    try:
        return await watch(queue, request, ticket.id, wait_s)
    except (ResultTimeout, ClientDisconnect, asyncio.CancelledError) as error:
        if key is None:
            await _cancel(queue, ticket.id)
        elif isinstance(error, ResultTimeout):
            raise ResultTimeout(
                f"The job did not finish in {wait_s:g} s and goes on. Send the same request with the same "
                f"Idempotency-Key again, or ask GET /v1/jobs/{ticket.id}."
            ) from error
        raise


async def view_of_submitted(queue: Queue, job_id: str, job: Job, options: SubmitOptions) -> JobView:
    """The job as it is; where that cannot be told, as it was submitted: its id must reach the caller."""
    try:
        return await queue.view(job_id)
    except Exception as error:  # noqa: BLE001 - an error would invite to submit it again
        log.warning("A submitted job could not be viewed.", extra={"job_id": job_id, "error": repr(error)})
        task = str(job.__struct_config__.tag)
        return JobView(id=job_id, status="queued", task=task, model=job.model, lane=options.lane)


async def watch(queue: Queue, request: Request, job_id: str, timeout_s: float) -> Result:
    """Waits for the job while the caller does. Raises the job's error, ResultTimeout, ClientDisconnect."""
    with HangUp(request):
        return await queue.wait(job_id, timeout_s)


def async_options(settings: Settings, key: str | None) -> SubmitOptions:
    """How a job is treated whose caller does not wait and names nothing else."""
    return SubmitOptions(
        lane=Lane.DEFAULT,
        time_limit_s=settings.time_limit_s,
        result_ttl_s=settings.result_ttl_s,
        idempotency_key=key,
    )


def idempotency_key(request: Request) -> str | None:
    """Raises InvalidInput where the header is empty or too long."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= _MAX_KEY_CHARACTERS:
        raise InvalidInput(
            f"Idempotency-Key must have 1 to {_MAX_KEY_CHARACTERS} characters.", param="Idempotency-Key"
        )
    return key


async def _perform_async(
    queue: Queue, settings: Settings, request: Request, job: Job, key: str | None, prefer: Prefer
) -> Result | Accepted:
    # The caller asked for a job that outlives the connection: neither a timeout nor a hang-up cancels it.
    options = async_options(settings, key)
    ticket = await queue.submit(job, options)
    if prefer.wait_s is None:
        return Accepted(await view_of_submitted(queue, ticket.id, job, options), "respond-async")
    wait_s = min(prefer.wait_s, settings.wait_s)
    try:
        return await watch(queue, request, ticket.id, wait_s)
    except (ResultTimeout, QueueUnavailable):
        view = await view_of_submitted(queue, ticket.id, job, options)
        return Accepted(view, f"respond-async, wait={wait_s:g}")


def _sync_options(settings: Settings, wait_s: float, key: str | None) -> SubmitOptions:
    # Without a key nobody can ask again, so neither wait nor result needs to outlive the caller.
    keyed = key is not None
    return SubmitOptions(
        lane=Lane.INTERACTIVE,
        time_limit_s=settings.time_limit_s,
        ttl_s=None if keyed else max(1, math.ceil(wait_s)),
        result_ttl_s=settings.result_ttl_s if keyed else settings.sync_result_ttl_s,
        idempotency_key=key,
        awaited=True,
    )


async def _cancel(queue: Queue, job_id: str) -> None:
    try:
        await queue.cancel(job_id)
    except JobError as error:
        # The caller is answered either way; the job's ttl and time limit end it.
        log.warning("An abandoned job could not be canceled.", extra={"job_id": job_id, "code": error.code})
