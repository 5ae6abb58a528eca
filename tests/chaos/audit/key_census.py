"""Which keys may be there when all is done, and why. Whatever is not named here was left behind."""

import time
from collections.abc import Iterator
from typing import Any

import redis

from jobs.store import keys
from tests.chaos.faults.losses import CLOCK

CONSTANT = {
    "rq:queues": "names of all queues there ever were; RQ itself never removes one",
    "rq:workers": "the live workers; checked against their processes",
    "rq:workers:": "the live workers of one queue",
    CLOCK: "the run's own clock",
    "mlxq:models": "what workers serve, also for when they are down",
    "mlxq:model_details": "what the files of those models say of them",
    "mlxq:admitted": "how many jobs each queue was given",
    "mlxq:admitted_bytes": "and how many bytes",
    "mlxq:clock": "when leases were last looked after",
    "mlxq:swept": "how far the sweeps have come",
    "mlxq:leases": "the live workers; checked by their time",
}
"""Without an expiry. A name that ends in a colon is a prefix."""

EXPIRING_S = {
    "rq:job:": 0,
    "rq:results:": 0,
    "mlxq:blob:": 86_400,  # written before its job ends, for a day: that of a worker which dies then stays so long
    "mlxq:stream:": 0,
    "mlxq:idem:": 86_400,  # settings.idempotency_ttl_s
    "mlxq:wake:": 60,
    "mlxq:ended:": 60,  # says that a job has ended whose record is kept for less
    "mlxq:worker:": 10,  # a lease
    "rq:worker:": 480,  # RQ's own worker_ttl + 60 s, until our first heartbeat
    "rq:clean_registries:": 899,  # the lock of a stock worker's maintenance
}
"""Seconds a key may live on, at most; for jobs, streams and results their ttl is added."""

OF_JOBS = ("rq:job:", "rq:results:", "mlxq:blob:", "mlxq:stream:")

REGISTRIES = ("rq:finished:", "rq:failed:", "rq:canceled:")
"""Sorted by when an entry expires; a sweep removes those that have."""

LIST = "mlxq:jobs:"
"""All jobs of a queue. Sweeps remove those whose records have expired."""

LAST_CLAIM = "mlxq:claimed:"
"""What a worker claimed last, as long as it lives."""


def _prefix(key: str, names: dict[str, int] | dict[str, str]) -> str | None:
    return next(
        (name for name in names if key == name or (name.endswith(":") and key.startswith(name))), None
    )


def left_behind(client: redis.Redis, keep_s: int) -> Iterator[str]:
    """Every key, and every entry of a registry, that would stay for ever or too long. keep_s: the longest job ttl."""
    found = sorted(key.decode() for key in client.scan_iter(count=1000))
    pipeline = client.pipeline(transaction=False)
    for key in found:
        pipeline.pttl(key)
    for key, ttl_ms in zip(found, pipeline.execute(), strict=True):
        if key.startswith(REGISTRIES):
            yield from _stale_entries(client, key, keep_s)
        elif key.startswith(LIST):
            yield from _gone_jobs(client, key)
        elif (name := _prefix(key, EXPIRING_S)) is not None:
            allowed_s = EXPIRING_S[name] + (keep_s if name in OF_JOBS else 0)
            if ttl_ms == -1 or ttl_ms > allowed_s * 1000:
                yield f"{key} stays for {'ever' if ttl_ms == -1 else f'{ttl_ms / 1000:.0f} s'}"
        elif key.startswith(LAST_CLAIM):
            if client.zscore(keys.LEASES, key.removeprefix(LAST_CLAIM)) is None:
                yield f"{key} belongs to no live worker"
        elif _prefix(key, CONSTANT) is None:
            yield f"{key} is not expected at all"
    dead: Any = client.zrangebyscore(keys.LEASES, "-inf", time.time() - 1)
    for worker in dead:
        yield f"{keys.LEASES} holds {worker.decode()}, which is dead"


def _gone_jobs(client: redis.Redis, key: str) -> Iterator[str]:
    """Entries of a list of jobs that no sweep will find: the job has no record, and is in no registry."""
    queue = key.removeprefix(LIST)
    members: Any = client.zrange(key, 0, -1)
    for member in members:
        job_id = member.decode()[1:].removeprefix("/")
        registered = [client.zscore(registry + queue, job_id) for registry in REGISTRIES]
        if not client.exists(f"rq:job:{job_id}") and registered == [None, None, None]:
            yield f"{key} holds {job_id}, which is gone"


def _stale_entries(client: redis.Redis, key: str, keep_s: int) -> Iterator[str]:
    now = time.time()
    entries: Any = client.zrange(key, 0, -1, withscores=True)
    for member, score in entries:
        if not now - 5 < score <= now + keep_s:
            yield f"{key} holds {member.decode()} until {score - now:+.0f} s from now"
