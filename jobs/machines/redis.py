# pyright: reportUnknownMemberType=false
"""Machines that are reached through Redis."""

import contextlib
from collections.abc import Callable
from typing import Any

import redis.asyncio

from jobs.catalogue.details import ModelDetails
from jobs.machines.announcements import AnnouncementReader
from jobs.store import keys


class RedisMachines:
    """A jobs.machines.machines.Machines."""

    def __init__(
        self, redis: redis.asyncio.Redis, reaching: Callable[[], contextlib.AbstractAsyncContextManager[None]]
    ) -> None:
        """reaching: is entered around commands; makes QueueUnavailable of Redis's errors."""
        self._redis = redis
        self._reaching = reaching
        self._reader = AnnouncementReader()

    async def details(self, model: str) -> ModelDetails:
        """What a model's files say of it. model: its id. Empty where no worker has told it."""
        async with self._reaching():
            raw: Any = await self._redis.hget(keys.MODEL_DETAILS, model)
        found = self._reader.details(raw, f"{keys.MODEL_DETAILS} {model}") if raw else None
        return found or ModelDetails()
