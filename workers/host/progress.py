# pyright: reportUnknownMemberType=false
"""Progress of commands on its way to Redis: the latest of it, at most twice a second."""

import asyncio
import logging
import time
from collections.abc import Iterable

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from jobs.machines.commands import Progress
from jobs.store import keys, record

log = logging.getLogger(__name__)

INTERVAL_S = 0.5
RETRY_S = 1.0
KEPT_S = 3600
"""The end of a command can be read for so long."""


class ProgressWriter:
    """Of one machine."""

    def __init__(self, redis: redis.asyncio.Redis, agent: str) -> None:
        """agent: its id, which stands in all that is written."""
        self._redis = redis
        self._agent = agent
        self._written_at: dict[str, float] = {}

    async def write(self, commands: Iterable[str], progress: Progress) -> None:
        """To all of these commands; drops what comes too soon after the one before, unless it is their end.

        The end is tried again until Redis takes it.
        """
        now = time.monotonic()
        due = [
            each
            for each in commands
            if progress.is_last or now - self._written_at.get(each, -INTERVAL_S) >= INTERVAL_S
        ]
        if not due:
            return
        written = await self._try(due, progress)
        while progress.is_last and not written:
            await asyncio.sleep(RETRY_S)
            written = await self._try(due, progress)
        for each in due:
            if progress.is_last:
                self._written_at.pop(each, None)
            else:
                self._written_at[each] = now

    async def _try(self, commands: Iterable[str], progress: Progress) -> bool:
        raw = record.pack(msgspec.structs.replace(progress, agent=self._agent))
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for each in commands:
                pipeline.set(keys.progress(each), raw, ex=KEPT_S)
            await pipeline.execute()
        except (RedisError, OSError) as error:
            log.warning("progress cannot be written", extra={"error": type(error).__name__})
            return False
        return True
