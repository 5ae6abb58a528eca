"""Giving a caller's jobs to the queue, treated as the headers Prefer and Idempotency-Key ask."""

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from api.work.prefer import parse_prefer
from api.work.queue import Queue
from jobs.errors import InvalidInput, JobError
from jobs.job import Job, Lane, SubmitOptions, Ticket
from jobs.models import MAX_SHOWN_CHARACTERS, find_model
from jobs.settings import Settings

log = logging.getLogger("mlxq.api")

_MAX_KEY_CHARACTERS = 255
_ENDPOINTS = {"embed": "/v1/embeddings", "generate": "/v1/chat/completions", "rerank": "/v1/rerank"}


class Terms(NamedTuple):
    """How a caller wants its work done.

    wait_s: how long it waits for the result, or for the start of a stream; None: not at all.
    respond_async: whether the job is handed out when the wait is over.
    keyed: whether the job bears an Idempotency-Key: the promise that the same request, sent again, finds it.
    """

    options: SubmitOptions
    wait_s: float | None
    respond_async: bool

    @property
    def keyed(self) -> bool:
        """Whether the job bears an Idempotency-Key: the promise that the same request, sent again, finds it."""
        return self.options.idempotency_key is not None

    @property
    def cancels(self) -> bool:
        """Whether the job ends with the wait: with a timeout, and with a caller that hangs up."""
        return not (self.keyed or self.respond_async)


def terms_of(request: Request, settings: Settings) -> Terms:
    """Raises InvalidInput for an unusable Idempotency-Key."""
    prefer = parse_prefer(request.headers.getlist("prefer"))
    key = idempotency_key(request)
    wait_s = settings.wait_s if prefer.wait_s is None else min(prefer.wait_s, settings.wait_s)
    if not prefer.respond_async:
        return Terms(_sync_options(settings, wait_s, key), wait_s, respond_async=False)
    stated = None if prefer.wait_s is None else wait_s
    return Terms(async_options(settings, key), stated, respond_async=True)


async def submit(queue: Queue, job: Job, options: SubmitOptions) -> Ticket:
    """Raises what the queue's submit raises, and InvalidInput for a model that does another task."""
    [named] = await _named([job], queue)
    return await queue.submit(named, options)


async def submit_all(queue: Queue, jobs: Sequence[Job], options: SubmitOptions) -> list[str]:
    """The ids of several jobs of one model, one request's work: all are queued, or none."""
    named = await _named(jobs, queue)
    outcomes = await asyncio.gather(
        *(queue.submit(job, _numbered(options, place)) for place, job in enumerate(named)),
        return_exceptions=True,
    )
    tickets = [each for each in outcomes if isinstance(each, Ticket)]
    if len(tickets) < len(jobs):
        await cancel_all(queue, [ticket.id for ticket in tickets if ticket.created])
        raise next(each for each in outcomes if isinstance(each, BaseException))
    return [ticket.id for ticket in tickets]


async def cancel(queue: Queue, job_id: str) -> None:
    """Ends a job that nobody waits for any more, if the queue can be reached."""
    try:
        await queue.cancel(job_id)
    except JobError as error:
        # The caller is answered either way; the job's ttl and time limit end it.
        log.warning("An abandoned job could not be canceled.", extra={"job_id": job_id, "code": error.code})


async def cancel_all(queue: Queue, job_ids: Sequence[str]) -> None:
    """Ends several jobs as `cancel` ends one, all at the same time."""
    await asyncio.gather(*(cancel(queue, job_id) for job_id in job_ids))


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


def task_of(job: Job) -> str:
    """The job's task: embed, generate or rerank."""
    return str(job.__struct_config__.tag)


async def _named(jobs: Sequence[Job], queue: Queue) -> Sequence[Job]:
    """Jobs of one model, under the model's id. One that is not there at all is the queue's to refuse.

    Raises InvalidInput for a model that does another task, and for a name that means several.
    """
    task, name = task_of(jobs[0]), jobs[0].model
    info = find_model(name, await queue.models(), task)
    if info is None:
        return jobs
    if task not in info.tasks:
        raise InvalidInput(
            f"The model {name[:MAX_SHOWN_CHARACTERS]!r} is not for this task ({task}) but for {info.task}: "
            f"send it to {_ENDPOINTS.get(info.task, 'another endpoint')}.",
            param="model",
        )
    return jobs if info.id == name else [msgspec.structs.replace(job, model=info.id) for job in jobs]


def _numbered(options: SubmitOptions, place: int) -> SubmitOptions:
    """Jobs of one request share its Idempotency-Key; each needs its own."""
    if options.idempotency_key is None:
        return options
    return msgspec.structs.replace(options, idempotency_key=f"{options.idempotency_key}/{place}")


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
