# pyright: reportUnknownMemberType=false
"""The processes of mlxq that share a machine's data folder. One of them is its agent, which speaks for all."""

import logging
from collections.abc import Collection
from typing import Any

import msgspec
import redis.asyncio

from jobs.machines.redis import LIVE_S
from jobs.store import keys, record

log = logging.getLogger(__name__)

KEPT_S = 60


class Parent(msgspec.Struct, frozen=True):
    """What one of them says about itself."""

    seen_at: float
    """In seconds since the epoch, by Redis's clock."""
    served: tuple[str, ...]
    """The ids of the models that its settings name."""
    needed: tuple[str, ...]
    """The folders and hub names of these."""


class Parents:
    """As one of them sees them."""

    def __init__(
        self,
        redis: redis.asyncio.Redis,
        machine: str,
        own: str,
        served: Collection[str],
        needed: Collection[str],
    ) -> None:
        """own: its id. served, needed: see Parent."""
        self._redis = redis
        self._key = keys.machine_parents(machine)
        self._own = own
        self._served = tuple(served)
        self._needed = tuple(needed)
        self._has_told = False

    async def tell(self) -> float:
        """Say what this one serves. Returns the time by Redis's clock. Raises RedisError, OSError."""
        seconds, microseconds = await self._redis.time()
        now = seconds + microseconds / 1e6
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hset(self._key, self._own, record.pack(Parent(now, self._served, self._needed)))
        pipeline.expire(self._key, KEPT_S)
        await pipeline.execute()
        self._has_told = True
        return now

    async def leave(self) -> None:
        """This one serves nothing any more. Raises RedisError, OSError."""
        if self._has_told:  # or Redis, which may be away, is not waited for
            await self._redis.hdel(self._key, self._own)

    async def told(self, now: float) -> Parent:
        """Of all together: this one first. now: by Redis's clock. Raises RedisError, OSError."""
        served, needed = dict.fromkeys(self._served), dict.fromkeys(self._needed)
        replies: Any = await self._redis.hgetall(self._key)
        for name, raw in replies.items():
            try:
                parent = _decode(raw)
            except (msgspec.MsgspecError, UnicodeError):
                log.debug("what a process of this machine says is unreadable", extra={"entry": name})
                continue
            if parent.seen_at > now - LIVE_S:
                served.update(dict.fromkeys(parent.served))
                needed.update(dict.fromkeys(parent.needed))
        return Parent(now, tuple(served), tuple(needed))


_decode = msgspec.msgpack.Decoder(Parent).decode
