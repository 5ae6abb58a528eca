"""What is done to a Redis of our own and to the way to it."""

import asyncio
import random
import signal
import time
from pathlib import Path
from typing import Any

import redis.asyncio

from jobs.store import keys
from jobs.store.redis_server import RedisServer
from tests.chaos.crew import READY_S, Workers
from tests.chaos.faults.faults import SPELL_S, Faults
from tests.chaos.faults.garbage import Garbage
from tests.chaos.faults.in_hand import InHand, in_hand
from tests.chaos.faults.losses import CLOCK, Loss, cut_file, loss_by_kill
from tests.chaos.faults.proxy import Proxy
from tests.chaos.plan import Plan
from tests.support.waiting import until

DROP_SHARE, CUT_SHARE = 0.05, 0.03
LOST_S = (0.5, 1.0)
"""How much of the append-only file's end is lost, in seconds of writing."""
REWRITTEN = "48mb"
"""Redis rewrites a file of this size, so that a busy machine does not read it for half a minute at each start."""
DELAY_S = 0.1
"""A slow network: every reply comes so much later."""
PAUSE_LEASES = (0.5, 1.5)


class RedisFaults(Faults):
    """Those of Faults, and what is done to a single Redis and to the proxy before it."""

    def __init__(
        self, plan: Plan, server: RedisServer, folder: Path, proxy: Proxy, workers: Workers, garbage: Garbage,
        client: redis.asyncio.Redis, chance: random.Random,
    ) -> None:  # fmt: skip
        """folder: of the server."""
        super().__init__(plan, workers, garbage, client, chance)
        self._server = server
        self._folder = folder
        self._proxy = proxy

    # The way to Redis

    async def drop_replies(self) -> None:
        dropped = self._proxy.dropped_replies
        self._proxy.drop_share = DROP_SHARE
        await asyncio.sleep(SPELL_S)
        await until(lambda: self._proxy.dropped_replies > dropped, READY_S)
        self._proxy.drop_share = 0

    async def cut(self) -> None:
        cut = self._proxy.cut_requests
        self._proxy.cut_share = CUT_SHARE
        self._proxy.cut_all()
        await asyncio.sleep(SPELL_S)
        await until(lambda: self._proxy.cut_requests > cut, READY_S)
        self._proxy.cut_share = 0

    async def slow_network(self) -> None:
        delayed = self._proxy.delayed_replies
        self._proxy.delay_s = DELAY_S
        await asyncio.sleep(SPELL_S)
        await until(lambda: self._proxy.delayed_replies > delayed, READY_S)
        self._proxy.delay_s = 0

    async def partition(self) -> None:
        """Those behind the proxy cannot reach Redis for longer than the leases last."""
        self._proxy.refusing = True
        self._proxy.cut_all()
        await asyncio.sleep(self._plan.lease_s + 1)
        self._proxy.refusing = False

    # Redis

    async def redis_restart(self) -> None:
        await self._redis_down(0)

    async def redis_away(self) -> None:
        """Away for longer than the leases last."""
        await self._redis_down(self._plan.lease_s + 0.5)

    async def redis_pause(self) -> None:
        """Redis stands still for about a lease. No living worker may lose a job by that, where nothing else goes on."""
        is_alone, begun = self._under_way == 1, self._begun
        async with self._redis_busy:
            before = await in_hand(self._redis)
            self._workers.send(self._server.pid, signal.SIGSTOP)
            await asyncio.sleep(self._chance.uniform(*PAUSE_LEASES) * self._plan.lease_s)
            self._workers.send(self._server.pid, signal.SIGCONT)
            if is_alone:
                await asyncio.sleep(self._plan.lease_s + 1)
                taken = await self._taken(before)
                if begun == self._begun:
                    self.counts["redis_pause measured"] += 1
                    self.taken += taken

    async def _taken(self, before: list[InHand]) -> list[str]:
        """Of these jobs, those that somebody took from a worker which lives."""
        pipeline = self._redis.pipeline(transaction=False)
        for each in before:
            pipeline.hget(keys.job(each.job_id), "mlxq_crashes")
        crashes = await pipeline.execute()
        living = set(self._workers.pids)
        return [
            f"{each} was taken from its living worker"
            for each, now in zip(before, crashes, strict=True)
            if int(now or 0) > each.crashes and each.pid in living
        ]

    async def file_lost(self) -> None:
        """The power fails: the end of the append-only file is lost."""
        async with self._redis_busy:
            await self._kill_redis()
            killed_at = time.time()
            kept_until = killed_at - self._chance.uniform(*LOST_S)
            since = await asyncio.to_thread(cut_file, self._folder, kept_until, self._chance)
            if since is not None:
                self.losses.append(Loss(since, killed_at))
            await self._start_redis()

    async def memory_full(self) -> None:
        """Redis takes no more for longer than the leases last."""
        async with self._redis_busy:
            memory: Any = await self._redis.info("memory")
            await self._redis.config_set("maxmemory", memory["used_memory"] // 2)
            await asyncio.sleep(self._plan.lease_s + 0.5)
            await self._redis.config_set("maxmemory", 0)

    async def _redis_down(self, seconds: float) -> None:
        async with self._redis_busy:
            await self._kill_redis()
            await asyncio.sleep(seconds)
            await self._start_redis()

    async def _kill_redis(self) -> None:
        tick: Any = await self._redis.get(CLOCK)
        await asyncio.to_thread(self._server.kill)
        if loss := await asyncio.to_thread(loss_by_kill, self._folder, float(tick), time.time()):
            self.counts["end of the file not written"] += 1
            self.losses.append(loss)

    async def _start_redis(self) -> None:
        await asyncio.to_thread(self._server.start)
        await self._redis.config_set("auto-aof-rewrite-min-size", REWRITTEN)
