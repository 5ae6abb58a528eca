"""A primary and a replica under real sentinels, as the Redis of a run."""

import asyncio
import random
import time
from pathlib import Path

import redis.asyncio
from typing_extensions import override

from tests.chaos.crew import Workers
from tests.chaos.faults.faults import Faults
from tests.chaos.faults.garbage import Garbage
from tests.chaos.faults.losses import CLOCK, Loss
from tests.chaos.faults.site import Site
from tests.chaos.plan import Plan
from tests.support.redis_servers.group import Group
from tests.support.waiting import wait_until

REPLICATED_S = 0.2
"""A replica has read what its dead primary had sent it."""


class Sentinels(Site):
    """Everybody asks the sentinels where the primary is."""

    def __init__(self, folder: Path) -> None:
        servers = folder / "servers"
        servers.mkdir()
        self._group = Group(servers)
        self.url = self._group.url
        self.urls = (self.url,)

    @override
    async def start(self) -> None:
        """They run already, because their URL follows from that."""

    @override
    async def stop(self) -> None:
        await asyncio.to_thread(self._group.close)

    @override
    def faults(
        self,
        plan: Plan,
        workers: Workers,
        garbage: Garbage,
        client: redis.asyncio.Redis,
        chance: random.Random,
    ) -> Faults:
        return SentinelFaults(plan, self._group, workers, garbage, client, chance)


class SentinelFaults(Faults):
    """Those of Faults, and failover."""

    def __init__(
        self, plan: Plan, group: Group, workers: Workers, garbage: Garbage, client: redis.asyncio.Redis,
        chance: random.Random,
    ) -> None:  # fmt: skip
        super().__init__(plan, workers, garbage, client, chance)
        self._group = group

    async def failover(self) -> None:
        """The primary dies, and with it what it had not yet sent to its replica."""
        async with self._redis_busy:
            await asyncio.to_thread(self._fail_over)

    def _fail_over(self) -> None:
        servers = (self._group.master, self._group.replica)
        port = self._group.master_port()
        master, replica = servers if servers[0].port == port else reversed(servers)
        master.kill()
        killed_at = time.time()
        time.sleep(REPLICATED_S)
        with replica.client() as client:
            tick = client.get(CLOCK)
            assert isinstance(tick, bytes)
            self.losses.append(Loss(float(tick), killed_at))
            wait_until(
                lambda: replica.info()["role"] == "master" and self._group.master_port() == replica.port
            )
        master.start()
        with master.client() as client:
            client.replicaof("127.0.0.1", replica.port)  # pyright: ignore - the sentinels wait ten seconds with it
        wait_until(lambda: master.info().get("master_link_status") == "up")
