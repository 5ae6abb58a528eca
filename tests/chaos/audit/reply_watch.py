"""Listens to every reply channel: a job's end must be told at most once to each."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from jobs.job import ENDED
from tests.chaos.faults.losses import Heard, Loss, Stalls, was_told_of_lost

_decode = msgspec.msgpack.Decoder(list[tuple[str, str, bytes]]).decode


class ReplyWatch:
    """told: when each (channel, job id) was told of the job's end, while Redis could be reached.

    stalls: of this process.
    """

    def __init__(self, client: redis.asyncio.Redis, stalls: Stalls) -> None:
        self._stalls = stalls
        self._redis = client
        self.told: dict[tuple[bytes, str], list[Heard]] = defaultdict(list)

    def repeated(self, losses: Sequence[Loss]) -> list[str]:
        """What was told twice, though Redis did not lose the first end."""
        return [
            f"{job_id} told {len(times)} times on one channel"
            for (_, job_id), times in self.told.items()
            if not all(was_told_of_lost(losses, heard) for heard in times[:-1])
        ]

    async def run(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.psubscribe("mlxq:reply:*")
                    async for message in pubsub.listen():
                        if message["type"] == "pmessage":
                            for job_id, status, _ in _decode(message["data"]):
                                if status in ENDED:
                                    self.told[message["channel"], job_id].append(self._stalls.heard())
            except (RedisError, OSError):
                await asyncio.sleep(0.1)
