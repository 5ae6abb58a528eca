"""How full the queues are, and which workers live."""

from typing import Literal

import msgspec
from msgspec.structs import replace

from jobs.models import LoadedModel, UnloadableModel


class LaneStats(msgspec.Struct, frozen=True, kw_only=True):
    """One queue."""

    queue: str
    task: str
    model: str
    lane: str
    queued: int
    started: int
    scheduled: int
    finished: int
    failed: int
    limit: int
    drain_rate: float
    """Jobs per second that all live workers took from it lately."""


class WorkerStats(msgspec.Struct, frozen=True, kw_only=True):
    """A live worker, as it last described itself."""

    name: str
    models: tuple[str, ...]
    """What it serves."""
    seen_at: float
    """In seconds since the epoch, by Redis's clock once it is announced."""
    jobs_in_hand: int
    drain_rate: dict[str, float]
    """Jobs per second, by queue."""
    loaded: tuple[LoadedModel, ...] = ()
    """Those of its models that are in memory."""
    loading: str | None = None
    """The model that it is loading."""
    device: Literal["gpu", "cpu", ""] = ""
    """What computes. Empty: it was not told."""
    unloadable: tuple[UnloadableModel, ...] = ()
    """Those that it cannot load, and claims no jobs for until then."""

    def at(self, now: float) -> "WorkerStats":
        """The same by another clock, on which it is now so late: all its times are shifted."""
        shift_s = now - self.seen_at
        loaded = [
            each if each.expires_at is None else replace(each, expires_at=each.expires_at + shift_s)
            for each in self.loaded
        ]
        unloadable = tuple(replace(each, until=each.until + shift_s) for each in self.unloadable)
        return replace(self, seen_at=now, loaded=tuple(loaded), unloadable=unloadable)


class RedisMemory(msgspec.Struct, frozen=True, kw_only=True):
    """How full Redis is."""

    used_bytes: int
    max_bytes: int | None
    """Its maxmemory. None: it has no bound."""


class QueueStats(msgspec.Struct, frozen=True):
    """All of mlxq's queues and live workers at one moment."""

    queues: tuple[LaneStats, ...]
    workers: tuple[WorkerStats, ...]
    redis_memory: RedisMemory | None = None
    """None where Redis does not tell it: the user of REDIS_URL may not ask (INFO)."""
