"""Running a coroutine in an event loop that Ctrl-C cannot leave half built."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, but a signal that comes while the loop is built or closed waits for the end of that.

    A loop that was interrupted there complains with a traceback when it is thrown away.
    """
    runner = asyncio.Runner()
    try:
        with _held_back():
            runner.get_loop()
        return runner.run(main)
    finally:
        main.close()  # where a signal came before it was begun
        with _held_back():
            runner.close()


@contextlib.contextmanager
def _held_back() -> Generator[None]:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
