"""Ctrl-C while an event loop is built."""

import asyncio
import os
import signal
import threading

import pytest

from cli.processes import event_loop


async def nothing() -> int:
    return 7


def test_it_gives_what_the_coroutine_does():
    assert event_loop.run(nothing()) == 7


def test_ctrl_c_while_a_loop_is_built_leaves_it_whole(monkeypatch: pytest.MonkeyPatch):
    loops: list[asyncio.AbstractEventLoop] = []

    class Loop(asyncio.SelectorEventLoop):
        def __init__(self) -> None:
            loops.append(self)
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(1000))  # a signal that is not held back is taken here
            super().__init__()

    monkeypatch.setattr(asyncio.events, "new_event_loop", Loop)
    handlers = [signal.getsignal(number) for number in event_loop._ENDING]
    other, done = threading.Event(), threading.Event()  # a thread that may be given the signal instead
    thread = threading.Thread(target=lambda: (other.set(), done.wait()))
    thread.start()
    other.wait()
    try:
        with pytest.raises(KeyboardInterrupt):
            event_loop.run(nothing())
    finally:
        done.set()
        thread.join()
    [loop] = loops
    assert loop.is_closed()
    assert [signal.getsignal(number) for number in event_loop._ENDING] == handlers
