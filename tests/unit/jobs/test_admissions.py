"""Jobs on their way into the queues: what gathers, and what goes alone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jobs.admissions import MAX_BYTES, Admissions

Admit = Callable[..., Awaitable[list[tuple[bytes, bytes]]]]


class HeldRedis:
    """Takes jobs; those called "large" only once `gate` is set. `calls` notes which came together."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.calls: list[list[str]] = []

    def register_script(self, _: str) -> Admit:
        return self._admit

    async def _admit(self, args: Sequence[Any]) -> list[tuple[bytes, bytes]]:
        jobs = [str(each) for each in args[3:]]
        self.calls.append(jobs)
        if "large" in jobs:
            await self.gate.wait()
        return [(b"created", each.encode()) for each in jobs]


async def test_a_large_job_on_its_way_holds_up_no_other():
    redis = HeldRedis()
    admissions = Admissions(redis, limit=10, idempotency_ttl_s=10)  # pyright: ignore[reportArgumentType]
    large = [asyncio.create_task(admissions.admit(["large"], MAX_BYTES + 1)) for _ in range(2)]
    while not redis.calls:
        await asyncio.sleep(0)
    assert await admissions.admit(["small"], 10) == ("created", "small")
    assert redis.calls == [["large"], ["small"]]  # and the second large one waits
    redis.gate.set()
    assert await asyncio.gather(*large) == [("created", "large")] * 2
