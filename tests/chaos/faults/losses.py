"""The append-only file loses its end, as when the power fails; and who may have lost what by that.

A clock in Redis makes it exact: a key that is set to the time again and again. The file is cut behind one of those
writes, so all that was done before that time is still in it.
"""

import asyncio
import contextlib
import os
import random
import re
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import redis.asyncio
from redis.exceptions import RedisError

CLOCK = "chaos:clock"
TICK_S = 0.05
STALLS_S = 2.0
TAIL_BYTES = 64 << 20
"""So much of the file's end is searched; a run writes less in the seconds that matter."""
MOST_TORN_BYTES = 40
_TICK = re.compile(rb"\r\nchaos:clock\r\n\$\d+\r\n([\d.]+)\r\n")


class Loss(NamedTuple):
    """What was written from `since` until `killed_at` is lost, by time.time()."""

    since: float
    killed_at: float


class Heard(NamedTuple):
    """When a process heard something of Redis, by time.time(), and how much earlier it may have arrived."""

    at: float
    late_s: float = 0.0


class Stalls:
    """How long this process has been held up lately: a reply may have been there for as long before it was read."""

    def __init__(self) -> None:
        self._woken_at = time.monotonic()
        self._stalls: deque[tuple[float, float]] = deque(maxlen=int(STALLS_S / TICK_S))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            self._stalls.append((now, now - self._woken_at))
            self._woken_at = now

    def heard(self) -> Heard:
        """For what is heard now."""
        now = time.monotonic()
        recent = [length for ended, length in self._stalls if ended > now - STALLS_S]
        return Heard(time.time(), max([now - self._woken_at, *recent]) + TICK_S)


def may_be_lost(losses: Sequence[Loss], sent_at: float, acknowledged_at: float) -> bool:
    """Whether a write that was sent and acknowledged at these times may be lost."""
    return any(sent_at <= loss.killed_at and acknowledged_at >= loss.since for loss in losses)


def was_told_of_lost(losses: Sequence[Loss], heard: Heard) -> bool:
    """Whether what was heard from Redis may have been lost since."""
    return any(loss.since <= heard.at and heard.at - heard.late_s <= loss.killed_at for loss in losses)


async def run_clock(client: redis.asyncio.Redis) -> None:
    """Writes the time into Redis, until cancelled. A tick is taken before it is written, so it is never late."""
    while True:
        with contextlib.suppress(RedisError, OSError):
            await client.set(CLOCK, f"{time.time():.6f}")
        await asyncio.sleep(TICK_S)


def cut_file(folder: Path, until: float, chance: random.Random) -> float | None:
    """Cut the append-only file of a killed Redis behind the last tick before that time, or some bytes into what
    follows, as the power would. Returns that tick; None where the file has none so old (it was begun anew since) and is
    left alone.
    """
    file = _newest(folder)
    ticks = [(time_s, end) for time_s, end in _ticks(file) if time_s <= until]
    if not ticks:
        return None
    tick, end = ticks[-1]
    torn = chance.choice((0, chance.randint(1, MOST_TORN_BYTES)))
    os.truncate(file, min(file.stat().st_size, end + torn))
    return tick


def loss_by_kill(folder: Path, written: float, killed_at: float) -> Loss | None:
    """What a Redis has lost that was killed when it had this tick. It does not write to its file while that is being
    synced, for two seconds at most, so its file may lack what it had acknowledged.
    """
    ticks = _ticks(_newest(folder))
    return Loss(ticks[-1][0], killed_at) if ticks and ticks[-1][0] < written else None


def _newest(folder: Path) -> Path:
    return max((folder / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


def _ticks(file: Path) -> list[tuple[float, int]]:
    """(tick, where in the file it ends) of those in its last part."""
    start = max(0, file.stat().st_size - TAIL_BYTES)
    with file.open("rb") as handle:
        handle.seek(start)
        return [(float(tick[1]), start + tick.end()) for tick in _TICK.finditer(handle.read())]
