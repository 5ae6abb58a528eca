"""Submitting many jobs at once without waiting for more: while one ADMIT is on its way, the next ones gather."""

import asyncio
import contextlib
from collections.abc import Generator, Mapping, Sequence

import redis.asyncio
from redis.exceptions import RedisError

from jobs.errors import Overloaded
from jobs.store.scripts import script

MAX_JOBS = 256
"""Jobs in one ADMIT: its time in Redis stays near a millisecond."""

MAX_BYTES = 1 << 20
"""Bytes in one ADMIT."""

MOST_PENDING_JOBS = 10_000
MOST_PENDING_BYTES = 256 << 20
"""What waits in a process for its ADMIT: Redis takes thousands of jobs a second, so more means that it is stuck."""

PARTS_TTL_S = 60
"""What is left of a large job whose caller or API process went away goes by itself."""

MOST_WRITINGS = 3
"""Of a large job's parts, where Redis has lost some before the job was there."""

Verdict = tuple[str, str]
_Pending = tuple[Sequence[str | bytes | int], int, asyncio.Future[Verdict]]


class AdmitBatcher:
    """The way into the queues: one ADMIT at a time, and one more with a large job, for which no other waits."""

    def __init__(
        self, redis: redis.asyncio.Redis, *, max_jobs: int, max_bytes: int, idempotency_ttl_s: int
    ) -> None:
        """max_jobs, max_bytes: that may wait in a queue."""
        self._redis = redis
        self._admit = redis.register_script(script("admit"))
        self._settings = (max_jobs, max_bytes, idempotency_ttl_s)
        self._pending: list[_Pending] = []
        self._flushing: asyncio.Task[None] | None = None
        self._alone = asyncio.Lock()
        self._held_jobs = self._held_bytes = 0  # pending, and on their way

    async def admit(self, args: Sequence[str | bytes | int], size_bytes: int) -> Verdict:
        """Run ADMIT for one job's arguments (see lua/admit.lua). Raises RedisError, Overloaded."""
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        with self._holding(size_bytes):
            self._pending.append((args, size_bytes, verdict))
            if self._flushing is None:
                self._flushing = asyncio.create_task(self._flush())
            return await verdict

    async def admit_large(
        self, args: Sequence[str | bytes | int], job_key: str, parts: Mapping[str, bytes]
    ) -> Verdict:
        """The same for a job whose data is written first, part by part, and again where Redis has lost some of it.
        Raises RedisError, Overloaded.
        """
        with self._holding(sum(map(len, parts.values()))):
            writings = 1
            while (verdict := await self._send_large(args, job_key, parts))[0] == "parts":
                if writings == MOST_WRITINGS:
                    break
                writings += 1
        return verdict

    @contextlib.contextmanager
    def _holding(self, size_bytes: int) -> Generator[None]:
        others = self._held_bytes and self._held_bytes + size_bytes > MOST_PENDING_BYTES
        if others or self._held_jobs >= MOST_PENDING_JOBS:
            raise Overloaded(
                f"{self._held_jobs} jobs of {self._held_bytes} bytes wait for Redis to take them, and this process"
                " holds no more. Try again in 1 s."
            )
        self._held_jobs += 1
        self._held_bytes += size_bytes
        try:
            yield
        finally:
            self._held_jobs -= 1
            self._held_bytes -= size_bytes

    async def _send_large(
        self, args: Sequence[str | bytes | int], job_key: str, parts: Mapping[str, bytes]
    ) -> Verdict:
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        async with self._alone:
            for name, part in parts.items():
                pipeline = self._redis.pipeline(transaction=True)
                pipeline.hset(job_key, name, part)  # pyright: ignore[reportArgumentType]: bytes are a value, too
                pipeline.expire(job_key, PARTS_TTL_S)
                await pipeline.execute()
            await self._send([(args, 0, verdict)])
        return await verdict

    async def _flush(self) -> None:
        try:
            while self._pending:
                # Those whose callers gave up are left out.
                if batch := [each for each in self._next_batch() if not each[2].done()]:
                    await self._send(batch)
        finally:
            self._flushing = None

    def _next_batch(self) -> list[_Pending]:
        total_bytes, count = 0, 0
        for _, size_bytes, _ in self._pending[:MAX_JOBS]:
            total_bytes += size_bytes
            if count and total_bytes > MAX_BYTES:
                break
            count += 1
        batch, self._pending = self._pending[:count], self._pending[count:]
        return batch

    async def _send(self, batch: list[_Pending]) -> None:
        args: list[str | bytes | int] = [*self._settings, len(batch)]
        for job_args, _, _ in batch:
            args += job_args
        try:
            verdicts = await self._admit(args=args)
        except (RedisError, OSError) as error:
            for _, _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, _, future), (verdict, value) in zip(batch, verdicts, strict=True):
            if not future.done():
                future.set_result((verdict.decode(), value.decode()))
