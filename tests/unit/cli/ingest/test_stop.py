"""Ctrl-C, once and twice."""

import asyncio
import os
import signal

import pytest

from cli.ingest.display.reporters import QuietReporter
from cli.ingest.stop import Stop
from ingest.scan.hashing import Stopped


async def test_the_first_signal_asks_and_the_second_one_cancels():
    called = list[str]()

    async def work() -> None:
        stop = Stop(QuietReporter())
        stop.when_asked(lambda: called.append("asked"))
        stop.install()
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await stop.asked.wait()
            assert stop.of_threads.is_set() and called == ["asked"]
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            stop.remove()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())


async def test_whoever_comes_after_the_signal_is_told_at_once():
    stop, called = Stop(QuietReporter()), list[str]()
    stop.asked.set()

    stop.when_asked(lambda: called.append("asked"))

    assert called == ["asked"]


async def test_a_wait_ends_with_the_first_signal():
    stop = Stop(QuietReporter())
    asyncio.get_running_loop().call_soon(stop.asked.set)

    with pytest.raises(Stopped):
        await stop.unless_asked(asyncio.Event().wait())


async def test_work_that_is_done_returns_what_it_has():
    async def work() -> int:
        return 7

    assert await Stop(QuietReporter()).unless_asked(work()) == 7


async def test_work_that_fails_raises():
    async def work() -> None:
        raise ValueError("Wrong.")

    with pytest.raises(ValueError, match="Wrong"):
        await Stop(QuietReporter()).unless_asked(work())
