"""What is done to the workers and the queues of a run, each with its count."""

import asyncio
import random
import signal
import time
from collections import Counter
from operator import itemgetter

import redis.asyncio

from tests.chaos.crew import READY_S, Workers, all_ready, announced
from tests.chaos.faults.garbage import Garbage
from tests.chaos.faults.in_hand import in_hand
from tests.chaos.faults.losses import Loss
from tests.chaos.plan import Plan
from tests.support.waiting import until_async

SPELL_S = 2.0
MANY = 20
STUTTER_S = 0.1
"""A slow machine: every second tenth of a second is not there."""


class Faults:
    """restart_s: longest time, so far, without a worker after all were killed. losses: what Redis has lost of what it
    had written. taken: jobs that were taken from a living worker because Redis paused.
    """

    def __init__(
        self,
        plan: Plan,
        workers: Workers,
        garbage: Garbage,
        client: redis.asyncio.Redis,
        chance: random.Random,
    ) -> None:
        self._plan = plan
        self._workers = workers
        self._garbage = garbage
        self._redis = client
        self._chance = chance
        self._redis_busy = asyncio.Lock()
        self._begun = 0
        self._under_way = 0
        self.counts = Counter[str]()
        self.restart_s = 0.0
        self.losses: list[Loss] = []
        self.taken: list[str] = []

    async def inject(self, name: str) -> None:
        """name: one of the plan's faults, which are methods of this class or of the one for its Redis."""
        assert name in self._plan.faults
        self.counts[name] += 1
        self._begun += 1
        self._under_way += 1
        try:
            await getattr(self, name)()
        finally:
            self._under_way -= 1

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
        """Kill the worker with the most jobs in hand, once one has many: it is stopped first, so that it keeps them."""

        async def stopped_holder() -> int:
            pid, jobs = max((await self._holders()).items(), key=itemgetter(1), default=(0, 0))
            if jobs < MANY or not self._workers.send(pid, signal.SIGSTOP):
                return 0
            if (await self._holders())[pid] >= MANY:
                return pid
            self._workers.send(pid, signal.SIGCONT)
            return 0

        holder = await until_async(stopped_holder, READY_S)
        self.counts["kill"] += 1
        self.counts["SIGKILL"] += self._workers.send(holder, signal.SIGKILL)

    async def _holders(self) -> Counter[int]:
        """Jobs in hand by worker process."""
        return Counter(each.pid for each in await in_hand(self._redis))

    async def freeze(self) -> None:
        """Longer than the lease, so that the jobs are somebody else's when it wakes up."""
        if pids := self._workers.pids:
            pid = self._chance.choice(pids)
            self._workers.send(pid, signal.SIGSTOP)
            await asyncio.sleep(self._plan.lease_s + 1)
            self._workers.send(pid, signal.SIGCONT)

    async def slow_machine(self) -> None:
        """A worker that stutters, but lives."""
        if pids := self._workers.pids:
            pid = self._chance.choice(pids)
            for _ in range(int(SPELL_S / STUTTER_S / 2)):
                self._workers.send(pid, signal.SIGSTOP)
                await asyncio.sleep(STUTTER_S)
                self._workers.send(pid, signal.SIGCONT)
                await asyncio.sleep(STUTTER_S)

    async def no_model(self) -> None:
        """One more worker, which cannot load the model."""
        async with self._workers.one_without_model() as worker:

            async def lives() -> bool:
                async with self._redis_busy:
                    return worker.pid in await announced(self._redis)

            await until_async(lives, READY_S)
            await asyncio.sleep(SPELL_S)

    async def garbage(self) -> None:
        async with self._redis_busy:
            await asyncio.to_thread(self._garbage.strew)

    def _hit(self, count: int, number: signal.Signals) -> None:
        pids = self._workers.pids
        for pid in self._chance.sample(pids, min(count, len(pids))):
            self.counts[number.name] += self._workers.send(pid, number)
