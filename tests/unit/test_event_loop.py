"""Ctrl-C at any moment of an event loop's life."""

import asyncio
import os
import signal

import pytest

from cli import event_loop


async def nothing() -> int:
    return 7


def test_it_gives_what_the_coroutine_does():
    assert event_loop.run(nothing()) == 7


@pytest.mark.parametrize("moment", ["built", "closed"])
def test_ctrl_c_while_a_loop_is_built_or_closed_leaves_it_whole(moment: str, monkeypatch: pytest.MonkeyPatch):
    loops: list[asyncio.AbstractEventLoop] = []

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(1000))  # a signal that is not held back is taken here

    class Loop(asyncio.SelectorEventLoop):
        def __init__(self) -> None:
            loops.append(self)
            if moment == "built":
                interrupt()
            super().__init__()

        def close(self) -> None:
            if moment == "closed":
                interrupt()
            super().close()

    monkeypatch.setattr(asyncio.events, "new_event_loop", Loop)
    with pytest.raises(KeyboardInterrupt):
        event_loop.run(nothing())
    [loop] = loops
    assert loop.is_closed()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
