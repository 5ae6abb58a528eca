"""The Redis of a run, and what is before it."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis.asyncio
from typing_extensions import override

from jobs.store.redis_server import RedisServer
from tests.chaos.crew import Workers
from tests.chaos.faults.faults import Faults
from tests.chaos.faults.garbage import Garbage
from tests.chaos.faults.proxy import Proxy
from tests.chaos.faults.redis_faults import RedisFaults
from tests.chaos.plan import Plan


class Site(ABC):
    """url: for the driver. urls: for workers and producers in turns."""

    url: str
    urls: Sequence[str]

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    def faults(
        self,
        plan: Plan,
        workers: Workers,
        garbage: Garbage,
        client: redis.asyncio.Redis,
        chance: random.Random,
    ) -> Faults: ...

    def counts(self) -> Mapping[str, int]:
        """What happened on the way to Redis."""
        return {}


class OneServer(Site):
    """Every second worker and producer reaches it through a proxy."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder / "redis"
        self._server = RedisServer(self._folder)
        self.url = self._server.url
        self._proxy = Proxy(Path(self.url.removeprefix("unix://")), random.Random(f"proxy {seed}"))

    @override
    async def start(self) -> None:
        await asyncio.to_thread(self._server.start)
        self.urls = (self.url, await self._proxy.start())

    @override
    async def stop(self) -> None:
        await self._proxy.aclose()
        await asyncio.to_thread(self._server.stop)

    @override
    def faults(
        self,
        plan: Plan,
        workers: Workers,
        garbage: Garbage,
        client: redis.asyncio.Redis,
        chance: random.Random,
    ) -> Faults:
        return RedisFaults(plan, self._server, self._folder, self._proxy, workers, garbage, client, chance)

    @override
    def counts(self) -> Mapping[str, int]:
        return {
            "replies dropped": self._proxy.dropped_replies,
            "replies delayed": self._proxy.delayed_replies,
            "requests cut": self._proxy.cut_requests,
        }
