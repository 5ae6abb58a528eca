"""The events of streaming jobs, read ahead for one caller. A slow caller gets several of them at a time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import NamedTuple, NoReturn, Self

from starlette.requests import ClientDisconnect, Request

from api.work.perform import (
    Accepted,
    CancelOnDisconnect,
    accept,
    cancel_all,
    error_of_kept_work,
    refuse_async,
    submit_all,
)
from api.work.queue import Queue
from api.work.terms import Terms
from jobs.errors import JobError, NoWorker, QueueUnavailable, ResultTimeout, ServerStopping
from jobs.generate import GenerateJob, Pieces
from jobs.process.cancelling import cancel_and_wait

KEEP_ALIVE_S = 10.0
"""A caller to which nothing was written for this long gets a sign that the stream lives. Proxies close a connection
that is silent for 30 s or 60 s.
"""

STATUS_WITHIN_S = 25.0
"""A stream that has no first event by then begins without one, because of the same proxies. Until then an error is
answered with its own status.
"""

MOST_READ_AHEAD = 256
"""Events kept in memory for a caller that reads slowly. The others stay in the stream's log in Redis."""


class StreamEvent(NamedTuple):
    """An event of one of the stream's jobs."""

    job_index: int
    """Of its job among the stream's jobs, from 0 on."""
    number: int
    """Of the event in its job, from 1 on."""
    pieces: Pieces


class EventStream:
    """The events of one or more jobs until all have ended. One task per job reads; close it with `aclose`.

    cancels: whether the jobs end when the caller disconnects. keep_alive_s: how long nothing may be written to it.
    on_end: is awaited with the id of each job that has ended well, once its events are read from Redis: its result is
    there then, and may be gone when a slow caller has them. The stream ends behind it; an error in it is the stream's.
    """

    def __init__(
        self,
        queue: Queue,
        job_ids: Sequence[str],
        *,
        cancels: bool,
        keep_alive_s: float = KEEP_ALIVE_S,
        on_end: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.job_ids = tuple(job_ids)
        self._queue = queue
        self._cancels = cancels
        self._keep_alive_s = keep_alive_s
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._events: list[StreamEvent] = []
        self._begun = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._space = asyncio.Event()
        self._written_at = self._loop.time()
        self._timer = self._loop.call_later(keep_alive_s, self._tick)
        self._start_limit: asyncio.TimerHandle | None = None
        self._readers = [asyncio.create_task(self._read(*numbered)) for numbered in enumerate(job_ids)]
        self._open = len(self._readers)

    async def begin(self, timeout_s: float) -> None:
        """Waits for the first event, or the end. Raises ResultTimeout, and the error of a job that failed at once."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (self._events or self._error or not self._open):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise ResultTimeout from error
        if self._error and not self._events:
            await self._give_up(self._error)

    def limit_start(self, timeout_s: float, error: JobError) -> None:
        """A stream that has no event by then ends with the error. Its jobs end too, if they are this caller's alone."""
        self._start_limit = self._loop.call_later(timeout_s, self._end_unbegun, error)

    async def take(self) -> list[StreamEvent] | None:
        """All that has come, which may be nothing where `is_overdue`; None after the end.

        Raises a job's JobError once the events before it are taken.
        """
        if not (self._events or self._error or not self._open):
            await self._changed.wait()
        self._changed.clear()
        if self._events:
            events, self._events = self._events, []
            self._space.set()
            return events
        if self._error:
            await self._give_up(self._error)
        return [] if self._open else None

    @property
    def is_overdue(self) -> bool:
        """Whether nothing has been written to the caller for keep_alive_s."""
        return self._loop.time() >= self._written_at + self._keep_alive_s

    def note_written(self) -> None:
        """Something was written to the caller. Events alone do not count: all of their text may be withheld."""
        self._written_at = self._loop.time()

    async def abandon(self) -> None:
        """The caller has disconnected or will not get the rest: cancels the jobs, if they are this caller's alone."""
        if self._cancels:
            await cancel_all(self._queue, self.job_ids)

    async def aclose(self) -> None:
        """Stops reading. The jobs go on."""
        self._timer.cancel()
        if self._start_limit is not None:
            self._start_limit.cancel()
        await cancel_and_wait(*self._readers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _read(self, index: int, job_id: str) -> None:
        try:
            async with contextlib.aclosing(self._queue.stream(job_id)) as events:
                async for number, pieces in events:
                    if self._error:
                        break  # another job failed, and the stream ends with its error
                    self._events.append(StreamEvent(index, number, pieces))
                    self._begun = True
                    self._changed.set()
                    while len(self._events) >= MOST_READ_AHEAD:
                        self._space.clear()
                        await self._space.wait()
            if self._on_end is not None and not self._error:
                await self._on_end(job_id)
        except Exception as error:  # noqa: BLE001 - raised again where the events are taken
            self._error = self._error or error
        finally:
            self._open -= 1
            self._changed.set()

    async def _give_up(self, error: Exception) -> NoReturn:
        if len(self.job_ids) > 1 or isinstance(error, ResultTimeout | NoWorker | ServerStopping):
            await self.abandon()  # nobody will read their answers
        raise error

    def _end_unbegun(self, error: JobError) -> None:
        if not self._begun:
            self._error = self._error or error
            self._changed.set()

    def _tick(self) -> None:
        due = self._written_at + self._keep_alive_s
        if self.is_overdue:
            self._changed.set()
            due = self._loop.time() + self._keep_alive_s
        self._timer = self._loop.call_at(due, self._tick)


async def open_stream(
    queue: Queue,
    request: Request,
    jobs: Sequence[GenerateJob],
    terms: Terms,
    on_end: Callable[[str], Awaitable[None]] | None = None,
) -> EventStream | Accepted:
    """Submits the streaming jobs of one request and waits for their first event. The caller closes the stream.

    The wait of the terms is for the first event. After STATUS_WITHIN_S the stream is given back without one, except
    where the caller prefers a job's id to a long wait. Raises what `perform` raises.
    """
    if len(jobs) > 1:
        refuse_async(terms)
    job_ids = await submit_all(queue, request, jobs, terms.options)
    if terms.wait_s is None:
        return await accept(queue, job_ids[0], jobs[0], terms)
    stream = EventStream(queue, job_ids, cancels=terms.cancels, on_end=on_end)
    status_within_s = terms.wait_s if terms.respond_async else min(terms.wait_s, STATUS_WITHIN_S)
    try:
        with CancelOnDisconnect(request):
            await stream.begin(status_within_s)
    except (ClientDisconnect, asyncio.CancelledError):
        await stream.aclose()
        await stream.abandon()
        raise
    except JobError as error:
        kept = error_of_kept_work(error, terms, job_ids)
        if isinstance(error, ResultTimeout) and status_within_s < terms.wait_s:
            stream.limit_start(terms.wait_s - status_within_s, kept or error)
            return stream
        await stream.aclose()
        if terms.respond_async and isinstance(error, ResultTimeout | QueueUnavailable):
            return await accept(queue, job_ids[0], jobs[0], terms)
        if isinstance(error, ResultTimeout):
            await stream.abandon()
        if kept:
            raise kept from error
        raise
    except Exception:
        await stream.aclose()
        raise
    return stream
