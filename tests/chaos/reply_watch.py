"""Listens to every reply channel: a job's end must be told at most once to each."""

import asyncio
from collections import Counter

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

_decode = msgspec.msgpack.Decoder(list[tuple[str, str, bytes]]).decode


class ReplyWatch:
    """told: how often each (channel, job id) was told of the job's end, while Redis could be reached."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self.told = Counter[tuple[bytes, str]]()

    @property
    def repeated(self) -> list[str]:
        return [
            f"{job_id} told {count} times on one channel"
            for (_, job_id), count in self.told.items()
            if count > 1
        ]

    async def run(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.psubscribe("mlxq:reply:*")
                    async for message in pubsub.listen():
                        if message["type"] == "pmessage":
                            for job_id, _, _ in _decode(message["data"]):
                                self.told[message["channel"], job_id] += 1
            except (RedisError, OSError):
                await asyncio.sleep(0.1)
