"""Several things at once, of which all are needed."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from jobs.process.cancelling import cancel_and_wait

T = TypeVar("T")


async def all_of(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results, in order. The first error cancels the others, and is raised once they have ended."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await cancel_and_wait(*tasks)
