# pyright: reportUnknownMemberType=false
"""Tells workers which models to take out of memory, over RQ's channel for commands (rq.command)."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

import msgspec
import redis.asyncio

from jobs.errors import NoWorker
from jobs.stats import WorkerStats
from jobs.store import keys

UNHEARD_S = 3.0
"""So long a worker may not listen: it has lost its connection and makes a new one. A worker that lives has announced
itself anew by then.
"""
RETRY_S = 0.1


class _Unload(msgspec.Struct, frozen=True):
    command: Literal["mlxq-unload"]
    model: str


def unload_target(payload: object) -> str | None:
    """The model that a command says to unload. None: it is another command."""
    try:
        return msgspec.convert(payload, _Unload).model
    except msgspec.ValidationError:
        return None


class WorkerMemory(Protocol):
    """The memory of all workers, as far as callers may have a say in it."""

    async def workers(self) -> Sequence[WorkerStats]:
        """The live ones, with what they have in memory. Raises QueueUnavailable."""
        ...

    async def unload(self, model: str) -> None:
        """Every worker is told to take the model (its id) out of memory when nothing is to be done for it any more.

        Raises NoWorker where one does not listen, QueueUnavailable.
        """
        ...


class RedisWorkerMemory:
    """A WorkerMemory. One per process."""

    def __init__(
        self,
        connection: redis.asyncio.Redis,
        live_workers: Callable[[], Awaitable[Sequence[WorkerStats]]],
        reaching_redis: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        """reaching_redis: makes QueueUnavailable of what Redis raises in it."""
        self._redis = connection
        self._live_workers = live_workers
        self._reaching_redis = reaching_redis

    async def workers(self) -> Sequence[WorkerStats]:
        """As WorkerMemory says."""
        async with self._reaching_redis():
            return await self._live_workers()

    async def unload(self, model: str) -> None:
        """As WorkerMemory says."""
        async with self._reaching_redis():
            told = [self._tell(each, model) for each in await self._live_workers() if model in each.models]
            await asyncio.gather(*told)

    async def _tell(self, worker: WorkerStats, model: str) -> None:
        """Again until it listens, or has not announced itself anew: then it is dead, and its memory is free."""
        payload, give_up_at = msgspec.json.encode(_Unload("mlxq-unload", model)), time.monotonic() + UNHEARD_S
        while not await self._redis.publish(keys.worker_commands(worker.name), payload):
            if time.monotonic() > give_up_at:
                if any(
                    each.name == worker.name and each.seen_at > worker.seen_at
                    for each in await self._live_workers()
                ):
                    raise NoWorker(f"The worker {worker.name} takes no commands now. Send the request again.")
                return
            await asyncio.sleep(RETRY_S)
