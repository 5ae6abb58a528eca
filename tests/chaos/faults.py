"""What is done to the run, each with its count."""

import asyncio
import random
import signal
import time
from collections import Counter

import redis.asyncio

from jobs.server import RedisServer
from tests.chaos.crew import Workers, all_ready
from tests.chaos.garbage import Garbage
from tests.chaos.plan import TURNS, Plan
from tests.chaos.proxy import Proxy

SPELL_S = 2.0
DROP_SHARE, CUT_SHARE = 0.05, 0.03


class Faults:
    """restart_s: longest time, so far, without a worker after all were killed."""

    def __init__(
        self, plan: Plan, server: RedisServer, workers: Workers, proxy: Proxy, garbage: Garbage,
        client: redis.asyncio.Redis, chance: random.Random,
    ) -> None:  # fmt: skip
        self._plan = plan
        self._server = server
        self._workers = workers
        self._proxy = proxy
        self._garbage = garbage
        self._redis = client
        self._chance = chance
        self._redis_busy = asyncio.Lock()
        self.counts = Counter[str]()
        self.restart_s = 0.0

    async def inject(self, name: str) -> None:
        """name: one of TURNS."""
        assert name in TURNS
        self.counts[name] += 1
        await getattr(self, name)()

    async def kill(self) -> None:
        self._hit(1, signal.SIGKILL)

    async def terminate(self) -> None:
        self._hit(1, signal.SIGTERM)

    async def kill_all(self) -> None:
        started = time.monotonic()
        self._hit(len(self._workers.pids), signal.SIGKILL)
        async with self._redis_busy:
            await all_ready(self._redis, self._workers, 1)
        self.restart_s = max(self.restart_s, time.monotonic() - started)

    def kill_half(self) -> None:
        self.counts["kill"] += 1
        self._hit(len(self._workers.pids) // 2, signal.SIGKILL)

    async def freeze(self) -> None:
        """Longer than the lease, so that the jobs are somebody else's when it wakes up."""
        if pids := self._workers.pids:
            pid = self._chance.choice(pids)
            self._workers.send(pid, signal.SIGSTOP)
            await asyncio.sleep(self._plan.lease_s + 1)
            self._workers.send(pid, signal.SIGCONT)

    async def redis_restart(self) -> None:
        await self._redis_down(0)

    async def redis_away(self) -> None:
        """Away for longer than the leases last."""
        await self._redis_down(self._plan.lease_s + 0.5)

    async def drop_replies(self) -> None:
        self._proxy.drop_share = DROP_SHARE
        await asyncio.sleep(SPELL_S)
        self._proxy.drop_share = 0

    async def cut(self) -> None:
        self._proxy.cut_share = CUT_SHARE
        self._proxy.cut_all()
        await asyncio.sleep(SPELL_S)
        self._proxy.cut_share = 0

    async def partition(self) -> None:
        """Those behind the proxy cannot reach Redis for longer than the leases last."""
        self._proxy.refusing = True
        self._proxy.cut_all()
        await asyncio.sleep(self._plan.lease_s + 1)
        self._proxy.refusing = False

    async def garbage(self) -> None:
        async with self._redis_busy:
            await asyncio.to_thread(self._garbage.strew)

    async def _redis_down(self, seconds: float) -> None:
        async with self._redis_busy:
            await asyncio.to_thread(self._server.kill)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._server.start)

    def _hit(self, count: int, number: signal.Signals) -> None:
        pids = self._workers.pids
        for pid in self._chance.sample(pids, min(count, len(pids))):
            self.counts[number.name] += self._workers.send(pid, number)
