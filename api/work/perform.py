"""Doing work for a caller: its jobs are submitted, waited for while it stays connected, and canceled if it leaves."""

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
from starlette.requests import ClientDisconnect, Request

from api.work.gather import all_of
from api.work.queue import Queue
from api.work.terms import Terms
from jobs.errors import InvalidInput, JobError, NoWorker, QueueUnavailable, ResultTimeout, ServerStopping
from jobs.job import Job, JobView, Result, SubmitOptions, Ticket, task_of

log = logging.getLogger("mlxq.api")

NOTED_JOBS = "mlxq.job_ids"
"""Key of the ASGI scope under which the request's jobs are noted, for the access log."""

_LISTEN_AFTER_S = 0.1
"""Listening takes a task of its own. Most answers are there sooner than this and need no such task."""


class Done(NamedTuple):
    """Work whose result is there."""

    job_id: str
    result: Result


class Accepted(NamedTuple):
    """Work that goes on after the reply, whose status is 202."""

    view: JobView
    preference: str | None = None
    """Value of the reply's header Preference-Applied. None: no such header."""


async def perform(queue: Queue, request: Request, job: Job, terms: Terms) -> Done | Accepted:
    """Does one job.

    Raises what the queue's `submit` and `wait` raise: ResultTimeout where the wait is over, NoWorker where no worker
    can do the job, ServerStopping; and ClientDisconnect where the caller disconnected. In these four cases the job is
    canceled, if its terms say so.
    """
    ticket = await queue.submit(job, terms.options)
    request.scope[NOTED_JOBS] = ticket.id
    if terms.respond_async:
        return await _result_or_view(queue, request, ticket.id, job, terms)
    try:
        return Done(ticket.id, await watch(queue, request, ticket.id, terms.wait_s or 0))
    except (ResultTimeout, NoWorker, ServerStopping, ClientDisconnect, asyncio.CancelledError) as error:
        if terms.cancels:
            await cancel(queue, ticket.id)
        if kept := error_of_kept_work(error, terms, [ticket.id]):
            raise kept from error
        raise


async def perform_all(queue: Queue, request: Request, jobs: Sequence[Job], terms: Terms) -> list[Done]:
    """Does several jobs of one request at the same time. If one fails, all fail.

    Raises what `perform` does, and InvalidInput for `Prefer: respond-async`, which can give the id of one job only.
    """
    refuse_async(terms)
    wait_s = terms.wait_s or 0
    job_ids = await submit_all(queue, request, jobs, terms.options)
    try:
        with CancelOnDisconnect(request):
            results = await all_of(queue.wait(job_id, wait_s) for job_id in job_ids)
    except (JobError, ClientDisconnect, asyncio.CancelledError) as error:
        if terms.cancels:
            await cancel_all(queue, job_ids)
        if kept := error_of_kept_work(error, terms, job_ids):
            raise kept from error
        raise
    return [Done(job_id, result) for job_id, result in zip(job_ids, results, strict=True)]


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


async def view_of_submitted(queue: Queue, job_id: str, job: Job, options: SubmitOptions) -> JobView:
    """The job as it is now or, where the queue cannot say it, as it was submitted: the caller must get its id."""
    try:
        return await queue.view(job_id)
    except Exception as error:  # noqa: BLE001 - after an error the caller would submit it again
        log.warning("A submitted job could not be viewed.", extra={"job_id": job_id, "error": repr(error)})
        return JobView(id=job_id, status="queued", task=task_of(job), model=job.model, lane=options.lane)


async def accept(queue: Queue, job_id: str, job: Job, terms: Terms) -> Accepted:
    """The job's view, and which of the caller's preferences were applied."""
    view = await view_of_submitted(queue, job_id, job, terms.options)
    waited = "" if terms.wait_s is None else f", wait={terms.wait_s:g}"
    return Accepted(view, f"respond-async{waited}")


async def watch(queue: Queue, request: Request, job_id: str, timeout_s: float) -> Result:
    """Waits for the job while the caller does. Raises the job's error, ResultTimeout, NoWorker, ClientDisconnect."""
    with CancelOnDisconnect(request):
        return await queue.wait(job_id, timeout_s)


def error_of_kept_work(error: BaseException, terms: Terms, job_ids: Sequence[str]) -> JobError | None:
    """The same error with a message that says how to find the jobs, where only the wait ended and the jobs go on.

    None where the error's own message is right.
    """
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
    """Refuses `Prefer: respond-async` for work of several jobs. Raises InvalidInput."""
    if terms.respond_async:
        raise InvalidInput(
            "Prefer: respond-async hands out one job, and this request is several: send them one by one.",
            param="Prefer",
        )


async def _result_or_view(
    queue: Queue, request: Request, job_id: str, job: Job, terms: Terms
) -> Done | Accepted:
    # The caller asked for a job that outlives the connection: neither a timeout nor a disconnect cancels it.
    if terms.wait_s is None:
        return await accept(queue, job_id, job, terms)
    try:
        return Done(job_id, await watch(queue, request, job_id, terms.wait_s))
    except (ResultTimeout, QueueUnavailable):
        return await accept(queue, job_id, job, terms)


def _numbered(options: SubmitOptions, index: int) -> SubmitOptions:
    """Jobs of one request share its Idempotency-Key; each needs its own."""
    if options.idempotency_key is None:
        return options
    return msgspec.structs.replace(options, idempotency_key=f"{options.idempotency_key}/{index}")


class CancelOnDisconnect:
    """While entered, a caller that disconnects interrupts the block with ClientDisconnect.

    Works as asyncio.timeout does. The request's body must have been read before.
    """

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._listener: asyncio.Task[None] | None = None
        self._disconnected = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(_LISTEN_AFTER_S, self._start_listening)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        # uncancel tells whether somebody else (a server that shuts down) wants this task canceled, too.
        if (
            self._disconnected
            and task is not None
            and task.uncancel() == 0
            and kind is asyncio.CancelledError
        ):
            raise ClientDisconnect from error

    def _start_listening(self) -> None:
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None:
            self._disconnected = True
            self._task.cancel()
