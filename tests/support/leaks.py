"""What a finished test may not leave in its Redis: work that somebody would still hold for running."""

from collections.abc import Iterator
from typing import Any

import redis

from jobs.store import keys

OF_WORK = {
    keys.registry("started", "*"): "a registry of started jobs",
    keys.held("*"): "the executions that a worker holds",
    keys.loading("*"): "the marker of a model that is being loaded",
}
OF_WORKERS = {keys.worker("*"): "what a live worker says about itself"}
"""Patterns of keys that exist only while something runs."""


def left_running(client: redis.Redis, *, workers_were_killed: bool = False) -> Iterator[str]:
    """One line for each lease, marker, worker and started job that is still there.

    workers_were_killed: what a worker says about itself, and its lease, may be there. Both end by themselves.
    """
    for pattern, meaning in (OF_WORK if workers_were_killed else OF_WORK | OF_WORKERS).items():
        yield from (f"{key.decode()}: {meaning}" for key in client.scan_iter(pattern, count=1000))
    for key in (keys.STARTING,) if workers_were_killed else (keys.LEASES, keys.STARTING):
        members: Any = client.zrange(key, 0, -1)
        yield from (f"{key} holds {member.decode()}" for member in members)
    workers: Any = () if workers_were_killed else client.smembers(keys.WORKERS)
    yield from (f"{keys.WORKERS} holds {worker.decode()}" for worker in workers)
    for key in client.scan_iter(keys.job("*"), count=1000, _type="hash"):
        if client.hget(key, "status") == b"started":
            yield f"{key.decode()}: a job that is started"
