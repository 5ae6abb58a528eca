"""The append-only file loses its end, as when the power fails; and who may have lost what by that.

A clock in Redis makes it exact: a key that is set to the time again and again. The file is cut behind one of those
writes, so all that was done before that time is still in it.
"""

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import redis.asyncio
from redis.exceptions import RedisError

CLOCK = "chaos:clock"
TICK_S = 0.05
TAIL_BYTES = 64 << 20
"""So much of the file's end is searched; a run writes less in the seconds that matter."""
MOST_TORN_BYTES = 40
HEARD_LATE_S = 1.0
"""A reply that had arrived when Redis was killed may be read so much later by a busy process."""

_TICK = re.compile(rb"\r\nchaos:clock\r\n\$\d+\r\n([\d.]+)\r\n")


class Loss(NamedTuple):
    """What was written from `since` until `killed_at` is lost, by time.time()."""

    since: float
    killed_at: float


def may_be_lost(losses: Sequence[Loss], sent_at: float, acknowledged_at: float) -> bool:
    """Whether a write that was sent and acknowledged at these times may be lost."""
    return any(sent_at <= loss.killed_at and acknowledged_at >= loss.since for loss in losses)


def was_told_of_lost(losses: Sequence[Loss], heard_at: float) -> bool:
    """Whether what was heard from Redis at this time may have been lost since."""
    return any(loss.since <= heard_at <= loss.killed_at + HEARD_LATE_S for loss in losses)


async def run_clock(client: redis.asyncio.Redis) -> None:
    """Writes the time into Redis, until cancelled. A tick is taken before it is written, so it is never late."""
    while True:
        with contextlib.suppress(RedisError, OSError):
            await client.set(CLOCK, f"{time.time():.6f}")
        await asyncio.sleep(TICK_S)


def cut_file(folder: Path, until: float, chance: random.Random) -> float:
    """Cut the append-only file of a killed Redis behind the last tick before that time, or some bytes into what
    follows, as the power would. Returns that tick.

    Raises: ValueError where the file has no tick so old (it was begun anew since).
    """
    file = max((folder / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
    size = file.stat().st_size
    start = max(0, size - TAIL_BYTES)
    with file.open("r+b") as handle:
        handle.seek(start)
        ticks = [tick for tick in _TICK.finditer(handle.read()) if float(tick[1]) <= until]
        if not ticks:
            raise ValueError(f"{file.name} has no tick before {until}")
        end = start + ticks[-1].end()
        torn = chance.choice((0, chance.randint(1, MOST_TORN_BYTES)))
        handle.truncate(min(size, end + torn))
    return float(ticks[-1][1])
