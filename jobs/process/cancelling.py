"""Ending tasks for good."""

import asyncio
from typing import Any

AGAIN_S = 1.0
"""A task that was cancelled and has not ended in this time is cancelled once more."""


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks until all have ended. How they ended is dropped.

    One cancel is not enough: a library may lose it, as asyncio.wait_for of Python 3.11 does when its time has come.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio logs no warning
