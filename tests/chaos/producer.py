"""A producer process: orders jobs, follows each to its end, and notes what it was told.

Reads lines on stdin: `calm` (no more poison), `slow` (few jobs), `rush` (many at once), end of file (no more).
Writes its counts to stdout twice a second, and a Note per job to a file.
"""

import argparse
import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from jobs.client.queue import JobQueue
from jobs.errors import (
    IdempotencyConflict,
    JobCanceled,
    JobError,
    Overloaded,
    QueueUnavailable,
    ResultTimeout,
    UnknownJob,
)
from jobs.generate import GenerateJob
from jobs.job import ENDED
from jobs.process.cancelling import cancel_and_wait
from jobs.settings import Settings
from jobs.store.connection import connect_async
from tests.chaos.faults.losses import Heard, Stalls
from tests.chaos.order import POISON, Order, greedy, is_right, order
from tests.chaos.plan import Plan
from tests.support.versions.later_version import become_later_version

PATIENCE_S = 480.0
"""A job that has not ended by then is lost. Where all workers start anew on a busy machine, half a minute is little."""
WAIT_S = 5.0
LEFT_AFTER = 3
"""The reader of a polled stream leaves after so many events, and comes back."""
SLOW_BURST = 1
RUSH = 100
"""Jobs at once, for the last fault to hit."""


class Note(msgspec.Struct):
    """What a producer knows of one order.

    id: "" where no submit was acknowledged. told: finished, wrong, canceled, expired, untold, or a failure's code.
    canceled: what the cancel call answered, None where it was not made or not answered. brief: its result lives
    shortly. Times are by time.time(), those of calls of their last try; first_sent_at: of the first one. heard: of the
    stream's events.
    """

    producer: int
    number: int
    kind: str
    id: str = ""
    attempts: int = 0
    told: str = "untold"
    canceled: bool | None = None
    problem: str = ""
    brief: bool = False
    first_sent_at: float = 0.0
    sent_at: float = 0.0
    acknowledged_at: float = 0.0
    canceled_heard: Heard = Heard(0.0)
    told_heard: Heard = Heard(0.0)
    heard: list[Heard] = msgspec.field(default_factory=list)


class Counts(msgspec.Struct):
    submitted: int = 0
    open: int = 0
    open_poison: int = 0


@dataclass
class Reading:
    """What has been read of a stream: its last event's number, and the text."""

    last: int = 0
    text: str = ""


class Producer:
    def __init__(self, plan: Plan, number: int, url: str) -> None:
        self.plan = plan
        self.number = number
        self.queue = JobQueue(connect_async(url), Settings(redis_url=url, result_ttl_s=plan.keep_ttl_s))
        self.notes: list[Note] = []
        self._readings: dict[str, Reading] = {}
        self.counts = Counts()
        self.poison = True
        self.burst = plan.burst
        self.rush = 0
        self.stopping = asyncio.Event()
        self.stalls = Stalls()

    async def run(self) -> None:
        await self.queue.start()
        following = set[asyncio.Task[None]]()
        number = 0
        while not self.stopping.is_set():
            burst = self.burst if self.counts.open < self.plan.most_open else 0
            count, self.rush = burst + self.rush, 0
            for at in range(number, number + count):
                each = order(self.plan, self.number, at, poison=self.poison)
                task = asyncio.create_task(
                    self._follow(each, Note(self.number, at, each.kind, brief=each.brief))
                )
                following.add(task)
                task.add_done_callback(following.discard)
            number += count
            try:
                async with asyncio.timeout(self.plan.burst_every_s):
                    await self.stopping.wait()
            except TimeoutError:
                continue
        await asyncio.gather(*following)
        await self.queue.aclose()

    async def _follow(self, each: Order, note: Note) -> None:
        self.notes.append(note)
        self._count(each, +1)
        try:
            note.id = await self._submit(each, note)
            if note.id:
                note.acknowledged_at = time.time()
                self.counts.submitted += 1
                if each.kind == "canceled":
                    await asyncio.sleep(each.cancel_after_s)
                    note.canceled = await self._cancel(note.id)
                    note.canceled_heard = self.stalls.heard()
                note.told = await self._outcome(each, note)
                note.told_heard = self.stalls.heard()
        except (
            Exception,  # noqa: BLE001
            asyncio.CancelledError,
        ) as error:
            note.problem = repr(error)
        finally:
            self._count(each, -1)

    def _count(self, each: Order, step: int) -> None:
        self.counts.open += step
        self.counts.open_poison += step * (each.kind in POISON)

    async def _submit(self, each: Order, note: Note) -> str:
        """The id; "" for an order that may or may not have arrived. With an idempotency key it is sent again."""
        while True:
            note.attempts += 1
            note.sent_at = time.time()
            note.first_sent_at = note.first_sent_at or note.sent_at
            try:
                return (await self.queue.submit(each.job, each.options)).id
            except (QueueUnavailable, Overloaded):  # the second where Redis' memory is full
                if each.options.idempotency_key is None:
                    return ""
                await asyncio.sleep(0.2)
            except IdempotencyConflict:  # an earlier try arrived, and its result is gone by now
                if not each.brief or time.time() - note.first_sent_at < self.plan.brief_ttl_s:
                    raise
                return ""

    async def _cancel(self, job_id: str) -> bool | None:
        try:
            return await self.queue.cancel(job_id)
        except (QueueUnavailable, UnknownJob):  # the outcome says whether it may be unknown
            return None

    async def _outcome(self, each: Order, note: Note) -> str:
        follow = (
            self._read if isinstance(each.job, GenerateJob) else self._poll if each.polled else self._wait
        )
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                return "finished" if await follow(each, note) else "wrong"
            except (QueueUnavailable, ResultTimeout, TimeoutError):
                await asyncio.sleep(0.1)
            except UnknownJob:
                return "expired"
            except JobCanceled:
                return "canceled"
            except JobError as error:
                return error.code
        return "untold"

    async def _wait(self, each: Order, note: Note) -> bool:
        return is_right(each.job, await self.queue.wait(note.id, WAIT_S))

    async def _poll(self, each: Order, note: Note) -> bool:
        pause_s = 0.02
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            view = await self.queue.view(note.id)
            if view.result is not None:
                return is_right(each.job, view.result)
            if view.status in ENDED:
                raise view.error.error() if view.error else JobCanceled
            await asyncio.sleep(pause_s)
            pause_s = min(0.5, pause_s * 1.5)
        raise ResultTimeout

    async def _read(self, each: Order, note: Note) -> bool:
        """A whole stream, whatever becomes of Redis meanwhile. A polled one is left early on, and read on later."""
        assert isinstance(each.job, GenerateJob)
        reading = self._readings.setdefault(note.id, Reading())
        async with (
            asyncio.timeout(WAIT_S) as limit,
            contextlib.aclosing(self.queue.stream(note.id, reading.last)) as events,
        ):
            async for number, pieces in events:
                if limit.expired():
                    raise TimeoutError
                limit.reschedule(asyncio.get_running_loop().time() + WAIT_S)
                if number != reading.last + 1:
                    return False
                reading.last = number
                reading.text += "".join(piece.text for piece in pieces.pieces)
                note.heard.append(self.stalls.heard())
                if each.polled and number == LEFT_AFTER:
                    raise ResultTimeout
        return reading.text == greedy(each.job)


async def obey(producer: Producer) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        match line.strip():
            case b"calm":
                producer.poison = False
            case b"slow":
                producer.burst = SLOW_BURST
            case _:
                producer.rush = RUSH
    producer.stopping.set()


async def report(producer: Producer) -> None:
    while True:
        sys.stdout.buffer.write(msgspec.json.encode(producer.counts) + b"\n")
        sys.stdout.buffer.flush()
        await asyncio.sleep(0.5)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plan", required=True, help="as JSON")
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--notes", type=Path, required=True, help="file to write")
    options = parser.parse_args()
    plan = msgspec.json.decode(options.plan, type=Plan)
    if options.number < plan.newer_producers:
        become_later_version()
    producer = Producer(plan, options.number, options.url)
    beside = (obey(producer), report(producer), producer.stalls.run())
    side = [asyncio.create_task(each) for each in beside]
    await producer.run()
    options.notes.write_bytes(msgspec.json.encode(producer.notes))
    await cancel_and_wait(*side)


if __name__ == "__main__":
    asyncio.run(main())
