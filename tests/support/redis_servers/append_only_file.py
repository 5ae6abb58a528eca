"""The append-only file of a real Redis, on a disk that is full."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.support.waiting import wait_until


@contextmanager
def full_disk(client: redis.Redis, folder: Path) -> Iterator[None]:
    """While entered, Redis cannot append to its file. folder: of the file's parts."""
    # The next part of the append-only file leads to a device that is full.
    full = _next_part(folder)
    full.symlink_to("/dev/full")
    client.bgrewriteaof()
    wait_until(lambda: _refuses_writes(client))
    yield
    full.unlink()
    client.bgrewriteaof()
    wait_until(lambda: not _refuses_writes(client))


def _next_part(folder: Path) -> Path:
    number = max(
        int(name[1]) for each in folder.iterdir() if (name := re.search(r"\.(\d+)\.incr\.aof$", each.name))
    )
    return folder / f"appendonly.aof.{number + 1}.incr.aof"


def _refuses_writes(client: redis.Redis) -> bool:
    try:
        client.set("anything", 1, px=1)
    except redis.ResponseError:
        return True
    return False
