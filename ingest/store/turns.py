"""One thread for all collections: qdrant-edge holds Python's lock while it searches, so more would gain nothing."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from queue import PriorityQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

SEARCH, WRITE, END = 0, 1, 2
"""Who waits for a search goes before who writes in bulk."""


class _Turn(NamedTuple):
    priority: int
    number: int
    """Of equal priority, the first comes first."""
    call: Callable[[], None]


class Turns:
    """Calls in a thread of their own, one at a time."""

    def __init__(self) -> None:
        self._queue: PriorityQueue[_Turn] = PriorityQueue()
        self._numbers = itertools.count()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    async def run(self, call: Callable[[], T], priority: int) -> T:
        """What the call returns or raises. A caller that is cancelled meanwhile does not stop it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(set_outcome: Callable[[Any], None], outcome: Any) -> None:
            if not future.done():
                set_outcome(outcome)

        def turn() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is awaited
                loop.call_soon_threadsafe(settle, future.set_exception, error)
            else:
                loop.call_soon_threadsafe(settle, future.set_result, result)

        self._queue.put(_Turn(priority, next(self._numbers), turn))
        return await future

    def end(self) -> None:
        """Waits for the calls that are already there."""
        self._queue.put(_Turn(END, next(self._numbers), self._end))
        self._thread.join()

    def _end(self) -> None:
        self._ended = True

    def _run(self) -> None:
        while not self._ended:
            self._queue.get().call()
