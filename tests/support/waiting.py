"""Waiting in tests: for as long as a loaded machine may need, never for good."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 60
"""What takes milliseconds on a quiet machine takes seconds on one that runs eight other programs."""


async def within(awaitable: Awaitable[T], timeout_s: float = PATIENCE_S) -> T:
    """Its result. Raises: TimeoutError."""
    async with asyncio.timeout(timeout_s):
        return await awaitable


def wait_until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Blocks until the condition is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


async def until_async(condition: Callable[[], Awaitable[object]], timeout_s: float = PATIENCE_S) -> None:
    """Until what the condition gives is true."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Until the condition is true."""

    async def asked() -> object:
        return condition()

    await until_async(asked, timeout_s)
