# pyright: reportUnknownMemberType=false
"""How an API process hears that its jobs ended: one channel per process, one message per FINISH."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from jobs import keys

log = logging.getLogger(__name__)

SAFETY_POLL_S = 1.0
"""Pub/sub is at most once: outcomes are looked up this often for whoever still waits."""

ENDED = frozenset({"finished", "failed", "canceled", "stopped"})

Mail = tuple[str, bytes | None]
"""(status, body): base64 result, or msgpack failure; body None where only a look-up said so."""

_decode = msgspec.msgpack.Decoder(list[tuple[str, str, bytes]]).decode


class Mailbox:
    """Futures of job outcomes, resolved by pub/sub or, failing that, by a poll once a second."""

    def __init__(self, redis: redis.asyncio.Redis) -> None:
        self._redis = redis
        self.channel = f"mlxq:reply:{secrets.token_hex(8)}"
        self._waiting: dict[str, list[asyncio.Future[Mail]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._poll())]

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def expect(self, job_id: str) -> asyncio.Future[Mail]:
        """A future of the job's outcome; give it to `forget` in the end."""
        future: asyncio.Future[Mail] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, []).append(future)
        return future

    def forget(self, job_id: str, future: asyncio.Future[Mail]) -> None:
        future.cancel()
        if futures := self._waiting.get(job_id):
            with contextlib.suppress(ValueError):
                futures.remove(future)
            if not futures:
                del self._waiting[job_id]

    def _deliver(self, job_id: str, mail: Mail) -> None:
        for future in self._waiting.get(job_id, ()):
            if not future.done():
                future.set_result(mail)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(self.channel)
                    messages = cast(AsyncIterator[dict[str, Any]], pubsub.listen())
                    async for message in messages:
                        if message["type"] == "message":
                            for job_id, status, body in _decode(message["data"]):
                                self._deliver(job_id, (status, body))
            except (RedisError, OSError) as error:
                log.warning("reply channel lost, subscribing again", extra={"error": str(error)})
                await asyncio.sleep(0.2)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(SAFETY_POLL_S)
            waiting = list(self._waiting)
            if not waiting:
                continue
            try:
                pipeline = self._redis.pipeline(transaction=False)
                for job_id in waiting:
                    pipeline.hget(keys.job(job_id), "status")
                statuses = await pipeline.execute()
            except (RedisError, OSError):
                continue  # Redis is away: the outcomes wait there
            for job_id, status in zip(waiting, statuses, strict=True):
                if status is not None and status.decode() in ENDED:
                    self._deliver(job_id, (status.decode(), None))
