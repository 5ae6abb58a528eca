"""A time limit that does not count what a busy process takes for itself."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

STEP_S = 0.1


@contextlib.asynccontextmanager
async def free_timeout(limit_s: float) -> AsyncGenerator[None]:
    """As asyncio.timeout, but time in which the event loop was held up does not count: what had arrived meanwhile was
    not read yet.

    Raises: TimeoutError.
    """
    async with asyncio.timeout(None) as limit:

        async def count() -> None:
            for _ in range(max(1, round(limit_s / STEP_S))):
                await asyncio.sleep(min(limit_s, STEP_S))
            limit.reschedule(0)

        counting = asyncio.create_task(count())
        try:
            yield
        finally:
            counting.cancel()
