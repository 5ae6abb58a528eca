"""Ctrl-C: once to finish what is in flight, twice to stop now."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from cli.ingest.display.reporters import Reporter
from ingest.scan.hashing import Stopped
from jobs.process.cancelling import cancel_and_wait

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)

STOPPED = 130
"""The exit code of what was stopped by its user."""


class Stop:
    """Set by the first signal. The second one cancels the task, the third ends the process."""

    def __init__(self, reporter: Reporter) -> None:
        self.asked = asyncio.Event()
        self.of_threads = threading.Event()
        """The same, for those who cannot await."""
        self._reporter = reporter
        self._task = asyncio.current_task()
        self._signals = 0
        self._on_asked: list[Callable[[], None]] = []

    def install(self) -> None:
        """From now on."""
        for each in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(each, self._on_signal)

    def remove(self) -> None:
        """Signals mean what they meant."""
        for each in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(each)

    def when_asked(self, do: Callable[[], None]) -> None:
        """Called at the first signal, or at once if it has come."""
        self._on_asked.append(do)
        if self.asked.is_set():
            do()

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns. Raises: Stopped, where the first signal comes before."""
        task, asked = asyncio.ensure_future(work), asyncio.create_task(self.asked.wait())
        try:
            await asyncio.wait((task, asked), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Stopped
            return task.result()
        finally:
            await cancel_and_wait(task, asked)

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == 1:
            self._reporter.note(
                "Stopping: what is in flight is finished and saved. Ctrl-C again stops at once."
            )
            self.asked.set()
            self.of_threads.set()
            for do in self._on_asked:
                do()
        elif self._signals == 2 and self._task is not None:
            self._task.cancel()
        else:
            os._exit(STOPPED)
