"""The check that no test leaves work running: it finds what a test could leave, and only that."""

import time
from collections.abc import Callable

import fakeredis
import pytest
import redis

from jobs.store import keys
from tests.support.leaks import left_running

LEAKS: dict[str, Callable[[redis.Redis], object]] = {
    "mlxq:held:w: ": lambda client: client.zadd(keys.held("w"), {"j:e": time.time()}),
    "mlxq:starting holds w": lambda client: client.zadd(keys.STARTING, {"w": time.time()}),
    "mlxq:loading:m: ": lambda client: client.sadd(keys.loading("m"), "w"),
    "rq:job:j: ": lambda client: client.hset(keys.job("j"), "status", "started"),
    "rq:wip:q: ": lambda client: client.zadd(keys.registry("started", "q"), {"j:e": time.time()}),
}
OF_WORKERS: dict[str, Callable[[redis.Redis], object]] = {
    "mlxq:leases holds w": lambda client: client.zadd(keys.LEASES, {"w": time.time()}),
    "mlxq:worker:w: ": lambda client: client.set(keys.worker("w"), "w"),
    "rq:workers holds rq:worker:w": lambda client: client.sadd(keys.WORKERS, "rq:worker:w"),
}


@pytest.fixture
def client() -> redis.Redis:
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.mark.parametrize("leak", LEAKS | OF_WORKERS)
def test_what_runs_is_found(leak: str, client: redis.Redis):
    (LEAKS | OF_WORKERS)[leak](client)

    (found,) = left_running(client)

    assert found.startswith(leak)
    assert len([*left_running(client, workers_were_killed=True)]) == (leak in LEAKS)


def test_what_waits_or_has_ended_is_no_leak(client: redis.Redis):
    for status in ("queued", "finished", "failed", "canceled", "scheduled"):
        client.hset(keys.job(status), "status", status)
        client.zadd(keys.registry(status, "q"), {status: time.time()})
    client.rpush(keys.queue("q"), "queued")
    client.sadd(keys.QUEUES, keys.queue("q"))

    assert [*left_running(client)] == []
