"""Waiting in tests: for a condition, for as long as a loaded machine may need, never for good.

A test that sleeps for a fixed time is slow on a quiet machine and wrong on a busy one. Sleep only where the passing of
real time is what the test is about.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

T = TypeVar("T")

PATIENCE_S = 60
"""What takes milliseconds on a quiet machine takes seconds on one that runs eight other programs."""
POLL_S = 0.01


def _nothing() -> str:
    return "it did not happen in time"


async def within(awaitable: Awaitable[T], timeout_s: float = PATIENCE_S) -> T:
    """Its result. Raises: TimeoutError."""
    async with asyncio.timeout(timeout_s):
        return await awaitable


def wait_until(
    condition: Callable[[], T | None], timeout_s: float = PATIENCE_S, *, because: Callable[[], str] = _nothing
) -> T:
    """Blocks until the condition gives something true, and returns that.

    because: asked for the reason where that does not happen in time.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, because()
        time.sleep(POLL_S)
    return found


async def until_async(
    condition: Callable[[], Awaitable[T | None]], timeout_s: float = PATIENCE_S, *, poll_s: float = POLL_S
) -> T:
    """As `wait_until`, in an event loop and for a condition that is awaited."""
    deadline = time.monotonic() + timeout_s
    while not (found := await condition()):
        assert time.monotonic() < deadline, _nothing()
        await asyncio.sleep(poll_s)
    return found


async def until(
    condition: Callable[[], T | None], timeout_s: float = PATIENCE_S, *, poll_s: float = POLL_S
) -> T:
    """As `wait_until`, in an event loop."""

    async def asked() -> T | None:
        return condition()

    return await until_async(asked, timeout_s, poll_s=poll_s)


async def turns(count: int = 20) -> None:
    """Lets the event loop run all tasks that are ready, so many times: enough for what needs no time to happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def forever() -> NoReturn:
    """What never ends by itself."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")
