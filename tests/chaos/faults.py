"""What is done to the run, each with its count."""

import asyncio
import random
import signal
import time
from collections import Counter
from operator import itemgetter
from typing import Any

import redis.asyncio

from jobs.store import keys
from jobs.store.redis_server import RedisServer
from tests.chaos.crew import READY_S, Workers, all_ready
from tests.chaos.garbage import Garbage
from tests.chaos.plan import TURNS, Plan
from tests.chaos.proxy import Proxy
from tests.support.waiting import until_async

SPELL_S = 2.0
MANY = 20
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
        pids = self._workers.pids
        self._hit(len(pids), signal.SIGKILL)
        async with self._redis_busy:
            await all_ready(self._redis, self._workers, 1, pids)
        self.restart_s = max(self.restart_s, time.monotonic() - started)

    async def kill_holder(self) -> None:
        """Kill the worker with the most jobs in hand, once one has many."""
        holder = await until_async(self._holder, READY_S)
        self.counts["kill"] += 1
        self.counts["SIGKILL"] += self._workers.send(holder, signal.SIGKILL)

    async def _holder(self) -> int | None:
        """The process with the most jobs in hand, if it has many."""
        pid, jobs = max((await self._holders()).items(), key=itemgetter(1), default=(0, 0))
        return pid if jobs >= MANY else None

    async def _holders(self) -> Counter[int]:
        """Jobs in hand by worker process."""
        workers: Any = await self._redis.zrange(keys.LEASES, 0, -1)
        pipeline = self._redis.pipeline(transaction=False)
        for worker in workers:
            pipeline.zcard(keys.held(worker.decode()))
        held = zip(workers, await pipeline.execute(), strict=True)
        return Counter({int(worker.split(b".")[1]): jobs for worker, jobs in held})

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
