"""Running a coroutine in an event loop that Ctrl-C cannot leave half built."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Generator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(main: Coroutine[Any, Any, T], new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """As asyncio.run, in the main thread, but a signal that comes while the loop is built waits for the end of that.

    A loop that was interrupted there complains with a traceback when it is thrown away.
    """
    runner = asyncio.Runner(loop_factory=new_loop)
    try:
        with _held_back():
            runner.get_loop()
        return runner.run(main)
    finally:
        main.close()  # where a signal came before it was begun
        runner.close()


@contextlib.contextmanager
def _held_back() -> Generator[None]:
    """Signals that come meanwhile are raised behind it. A mask would not do: another thread may be given them."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in came[:1]:
            signal.raise_signal(number)
