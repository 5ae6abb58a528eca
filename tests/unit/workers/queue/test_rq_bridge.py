"""What RQ's lists of workers hold once a worker has died."""

import fakeredis
import pytest

from jobs.store import keys
from workers.queue.client import WorkerQueue
from workers.queue.rq_bridge import RqBridge

SERVED, NOT_SERVED = "embed:m:bulk", "embed:other:bulk"
DEAD, LIVING = keys.WORKER_PREFIX + "dead", keys.WORKER_PREFIX + "living"


@pytest.fixture
def redis() -> fakeredis.FakeRedis:
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    redis.sadd(keys.QUEUES, keys.queue(NOT_SERVED))
    for key in (keys.WORKERS, keys.workers_of(SERVED), keys.workers_of(NOT_SERVED)):
        redis.sadd(key, DEAD, LIVING)
    redis.hset(LIVING, "birth", "now")
    return redis


def test_a_dead_worker_leaves_the_lists_of_queues_that_nobody_serves_too(redis: fakeredis.FakeRedis):
    bridge = RqBridge(redis, WorkerQueue(redis, "w1", lease_s=10, max_crashes=3))
    bridge.forget_dead_workers([SERVED])
    for key in (keys.WORKERS, keys.workers_of(SERVED), keys.workers_of(NOT_SERVED)):
        assert redis.smembers(key) == {LIVING.encode()}
