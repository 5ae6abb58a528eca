# pyright: reportUnknownMemberType=false
"""Waits until Redis has on its disk what it has acknowledged."""

import asyncio
from typing import Any

import redis.asyncio
from redis.exceptions import ResponseError

from jobs.errors import QueueUnavailable

SYNC_MS = 5000
"""How long Redis may take. With `appendfsync everysec` it takes a second at most."""

_KEY = "mlxq:synced"


class DiskWait:
    """Those who ask while Redis is being waited for share the next wait: the one under way may have begun too early."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def wait(self) -> None:
        """Until all that Redis has acknowledged by now is on its disk.

        Raises: RedisError, and QueueUnavailable where it is not on the disk after SYNC_MS, or Redis cannot tell.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(_retrieve)
        await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[None] | None) -> None:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        await self._sync()

    async def _sync(self) -> None:
        # WAITAOF waits for the writes of its own connection, and the file is in order: so one write more.
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(_KEY, 1, ex=60)
        pipeline.execute_command("WAITAOF", 1, 0, SYNC_MS)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        written, synced = replies
        if isinstance(written, Exception):
            raise written
        if isinstance(synced, ResponseError):
            raise QueueUnavailable(
                "MLXQ_WAIT_FOR_DISK is set, and Redis cannot wait for its disk: that takes appendonly yes, "
                "and Redis 7.2 or Valkey."
            ) from synced
        if isinstance(synced, Exception):
            raise synced
        if synced[0] < 1:
            raise QueueUnavailable(
                "Redis has the job, but not on its disk yet. Send it again with the same Idempotency-Key to make sure."
            )


def _retrieve(task: asyncio.Task[None]) -> None:
    """Who asked may have left, and asyncio warns of exceptions that nobody retrieves."""
    if not task.cancelled():
        task.exception()
