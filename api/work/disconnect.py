"""Noticing that a caller has disconnected while its job is waited for."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect, Request

# Listening takes a task of its own. Most answers are there sooner than this and need no such task.
_LISTEN_AFTER_S = 0.1


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
