"""Runs a plan: starts everything, does the faults, lets it settle, audits."""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import redis

from jobs.client.queue import JobQueue
from jobs.process.cancelling import cancel_and_wait
from jobs.settings import Settings
from jobs.store import keys, record
from jobs.store.connection import connect, connect_async
from tests.chaos.audit.audit import Audit
from tests.chaos.audit.key_census import left_behind
from tests.chaos.audit.reply_watch import ReplyWatch
from tests.chaos.audit.report import Report
from tests.chaos.audit.stored import read_all
from tests.chaos.crew import READY_S, Producers, Workers, all_ready, announced
from tests.chaos.faults.faults import Faults
from tests.chaos.faults.garbage import Garbage
from tests.chaos.faults.losses import Stalls, run_clock
from tests.chaos.faults.site import Site
from tests.chaos.plan import ALONE, LAST, Plan
from tests.chaos.producer import Note
from tests.support.waiting import until, until_async

SETTLE_S = 120
MAX_OPEN = 100
"""Jobs on their way when the last fault comes: few, so that their time to settle is not that of a backlog."""
TURN_PAUSE_S = 0.5
RUSH_AGAIN_S = 15
CALM_S = 2.0
"""Until the producers have heard that no more poison is wanted, and have told what they sent before."""


@contextlib.contextmanager
def reading_later_records(by: int) -> Iterator[None]:
    """This process is, for as long, an API process of so many versions later: it reads the records of those, too."""
    own = record.VERSION
    record.VERSION = own + by
    try:
        yield
    finally:
        record.VERSION = own  # other tests run in this process, beside workers of this version


class Driver:
    """One run in `folder`, which must be empty. say: told of each step."""

    def __init__(self, plan: Plan, site: Site, folder: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._site = site
        self._folder = folder
        self._say = say
        self._chance = random.Random(plan.seed)
        self._direct = connect(site.url)
        self._client = connect_async(site.url)
        self._stalls = Stalls()
        self._watch = ReplyWatch(self._client, self._stalls)
        self._garbage = Garbage(self._direct, random.Random(f"garbage {plan.seed}"))

    async def run(self) -> Report:
        started = time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._site.stop)
            await self._site.start()
            stack.push_async_callback(self._client.aclose)
            stack.callback(self._direct.close)
            beside = [
                asyncio.create_task(each)
                for each in (self._watch.run(), self._stalls.run(), run_clock(self._client))
            ]
            stack.push_async_callback(cancel_and_wait, *beside)
            workers = Workers(self._plan, self._site.urls, self._folder)
            stack.push_async_callback(workers.stop)
            await all_ready(self._client, workers, self._plan.workers)
            producers = Producers(self._plan, self._site.urls, self._folder)
            stack.push_async_callback(producers.kill)
            await producers.start()
            await until(lambda: producers.submitted)
            strangers = await self._start_strangers(stack)
            faults = self._site.faults(self._plan, workers, self._garbage, self._client, self._chance)
            await self._torment(faults, producers)
            await self._calm(producers)
            rush_at_s = await self._rush(producers)
            await self._kill_holder(faults, producers)
            last_fault_at_s = time.time()
            producers.stop()
            self._say("last fault; settling")
            notes = await producers.notes()
            counts = await self._end_strangers(strangers)
            return await self._audit(faults, workers, notes, counts, rush_at_s, last_fault_at_s, started)

    async def _torment(self, faults: Faults, producers: Producers) -> None:
        for turn in range(self._plan.turns):
            for names in self._groups():
                state = f"{producers.submitted} jobs, {producers.open} open"
                self._say(f"turn {turn + 1}: {', '.join(names)} ({state})")
                await asyncio.gather(*map(faults.inject, names))
                await asyncio.sleep(TURN_PAUSE_S)
        together = set[asyncio.Task[None]]()
        while producers.submitted < self._plan.jobs or faults.counts["SIGKILL"] < self._plan.kills:
            await self._until_workers_live()
            names = [name for name in self._plan.faults if name not in ALONE]
            name = self._chance.choices(names, [6 if name == "kill" else 1 for name in names])[0]
            self._say(f"together: {name} ({producers.submitted} jobs, {producers.open} open)")
            together.add(asyncio.create_task(faults.inject(name)))
            if producers.submitted >= self._plan.calm_at * self._plan.jobs:
                producers.calm()
            for task in [task for task in together if task.done()]:
                task.result()
                together.discard(task)
            await asyncio.sleep(self._chance.expovariate(1 / self._plan.fault_every_s))
        await asyncio.gather(*together)
        for name in sorted(LAST.intersection(self._plan.faults)):
            await faults.inject(name)

    async def _until_workers_live(self) -> None:
        """On a busy machine faults would otherwise hit nothing but workers that start, and no job would be done."""

        async def live() -> bool:
            with contextlib.suppress(redis.RedisError, OSError):
                return len(await announced(self._client)) >= self._plan.workers // 2
            return False

        with contextlib.suppress(AssertionError):
            await until_async(live, READY_S)

    def _groups(self) -> list[Sequence[str]]:
        """Every kind of fault once, so many at a time as the plan says."""
        names, size = self._plan.faults, self._plan.beside
        others = [name for name in names if name not in ALONE]
        if size > 1:
            self._chance.shuffle(others)
        return [
            *[[name] for name in names if name in ALONE],
            *[others[at : at + size] for at in range(0, len(others), size)],
        ]

    async def _calm(self, producers: Producers) -> None:
        """No faults, no new poison and few jobs, until the poison has had its attempts and no backlog is left."""
        producers.calm()
        producers.slow()
        self._say(f"calm: {producers.open_poison} poisoned jobs open")
        await asyncio.sleep(CALM_S)
        with contextlib.suppress(AssertionError):  # what is still open then, the audit finds
            await until(lambda: not producers.open_poison and producers.open <= MAX_OPEN, SETTLE_S)

    async def _rush(self, producers: Producers) -> float:
        """As many jobs at once as the last fault will hit, without one: so long they take on this machine. Returns when
        they came.
        """
        began_s = time.time()
        producers.rush()
        await asyncio.sleep(CALM_S)
        with contextlib.suppress(AssertionError):
            await until(lambda: producers.open <= MAX_OPEN, SETTLE_S)
        return began_s

    async def _kill_holder(self, faults: Faults, producers: Producers) -> None:
        """Kill a worker with many jobs in hand. Where a rush is over before one is seen to hold them, another comes."""
        killed = asyncio.create_task(faults.kill_holder())
        while not killed.done():
            producers.rush()
            await asyncio.wait([killed], timeout=RUSH_AGAIN_S)
        killed.result()

    async def _start_strangers(self, stack: contextlib.AsyncExitStack) -> asyncio.subprocess.Process:
        with (self._folder / "strangers.log").open("w") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.chaos.strangers", "--url", self._site.url,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip

        def kill() -> None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

        stack.callback(kill)
        return process

    @staticmethod
    async def _end_strangers(process: asyncio.subprocess.Process) -> Counter[str]:
        out, _ = await process.communicate(b"")  # which closes its stdin
        return Counter(json.loads(out))

    async def _audit(
        self, faults: Faults, workers: Workers, notes: list[Note], strangers: Counter[str], rush_at_s: float,
        since_s: float, started: float,
    ) -> Report:  # fmt: skip
        plan = self._plan
        audit = Audit(plan, notes, self._garbage, faults.losses)
        queue = JobQueue(connect_async(self._site.url), Settings(redis_url=self._site.url))
        with reading_later_records(by=int(plan.newer_producers > 0)):
            audit.run([each async for each in read_all(self._client, queue, plan)])
        await queue.aclose()
        problems = {
            **audit.problems, "told twice": self._watch.repeated(faults.losses), "taken": faults.taken
        }  # fmt: skip
        self._garbage.clear()
        await asyncio.sleep(plan.brief_ttl_s + plan.sweep_s)
        await all_ready(self._client, workers, plan.workers)
        problems["unseen"] = [*self._unseen(await announced(self._client))]
        problems["left behind"] = await self._left_behind()
        settled = audit.settled(since_s)
        rush_s = audit.rush_s(rush_at_s)
        allowed_s = plan.lease_s + plan.slack_s + rush_s
        problems["late"] = [f"{s:.2f} s after the last fault: {each}" for s, each in settled if s > allowed_s]
        acknowledged = [note for note in notes if note.id]
        return Report(
            seed=plan.seed,
            wall_s=time.monotonic() - started,
            submitted=len(acknowledged),
            unacknowledged=len(notes) - len(acknowledged),
            expired=sum(note.told == "expired" for note in notes),
            streams=audit.streams(),
            newer=audit.newer(),
            lost_with_the_file=audit.lost_with_the_file,
            changed_with_the_file=audit.changed_with_the_file,
            losses=faults.losses,
            statuses=audit.statuses,
            faults=faults.counts,
            proxy=self._site.counts(),
            strangers=strangers,
            settled_s=[seconds for seconds, _ in settled],
            hit_last=sum(each.crashes > 0 for _, each in settled),
            rush_s=rush_s,
            allowed_s=allowed_s,
            restart_s=faults.restart_s,
            worst_crashes=audit.worst_crashes(),
            worker_starts=workers.log.read_text().count("worker starts"),
            problems=problems,
        )

    async def _left_behind(self) -> list[str]:
        """Keys that are still there when there has been time enough to clear them up."""
        deadline = time.monotonic() + self._plan.slack_s
        while True:
            found = await asyncio.to_thread(lambda: [*left_behind(self._direct, self._plan.keep_ttl_s)])
            if not found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.1)

    def _unseen(self, pids: set[int]) -> list[str]:
        """Live workers that `rq info` does not know."""
        try:
            names: Any = self._direct.smembers(keys.WORKERS)
            known = {int(name.decode().split(".")[1]) for name in names}
        except redis.RedisError as error:
            return [repr(error)]
        return [f"worker process {pid} is not in {keys.WORKERS}" for pid in pids - known]
