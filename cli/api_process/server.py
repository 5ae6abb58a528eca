"""uvicorn, stopped so that every caller gets an answer."""

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.route import STOPPING
from cli.api_process.protocol import ApiProtocol
from jobs.client.queue import JobQueue
from jobs.errors import JobError
from jobs.process.cancelling import cancel_and_wait

FINISH_S = 1.0
"""Requests in flight may take so long to end by themselves, where a worker lives."""

ANSWER_S = 0.5
"""Then those that wait for a job are answered 503; what is left after this time is cut short."""

STOP_S = 8
"""Stopping takes no longer, whatever hangs."""


class ApiServer(uvicorn.Server):
    """When told to stop, it has its requests answered before it ends."""

    def __init__(self, app: ASGIApp, queue: JobQueue, idle_timeout_s: int) -> None:
        """idle_timeout_s: a connection without a request for so long is closed."""
        config = uvicorn.Config(
            app,
            http=ApiProtocol,
            timeout_keep_alive=idle_timeout_s,
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=STOP_S,
        )
        super().__init__(config)
        self._queue = queue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.create_task(self._end_requests())
        try:
            await super().shutdown(sockets)  # waits until no request is in flight
        finally:
            await cancel_and_wait(ending)

    async def _end_requests(self) -> None:
        if await self._a_worker_lives():
            await asyncio.sleep(FINISH_S)
        self._queue.stop_waiting()
        await asyncio.sleep(ANSWER_S)
        # What is still there waits for no job: readers who do not read, slow uploads, pictures that are fetched.
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and _is_stuck(connection):
                connection.transport.abort()
        await asyncio.sleep(ANSWER_S)
        for task in list(self.server_state.tasks):
            task.cancel(STOPPING)

    async def _a_worker_lives(self) -> bool:
        """False also where Redis does not answer at once."""
        try:
            async with asyncio.timeout(FINISH_S):
                return await self._queue.ready()
        except (JobError, TimeoutError):
            return False


def _is_stuck(connection: HttpToolsProtocol) -> bool:
    """In the midst of a reply. One that is complete is only on its way to a slow reader."""
    cycle = connection.cycle  # None before the first request
    return bool(cycle and cycle.response_started and not cycle.response_complete)
