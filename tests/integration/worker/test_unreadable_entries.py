"""What other versions and strangers write where workers look: it is skipped, and ends no worker."""

import json

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.store import keys
from tests.support.fake_runner import expected_vector
from tests.support.running_worker import ThreadWorker, run, vectors
from tests.support.waiting import until

NO_TEXT = b"\xff\xfe"


async def sweeps(redis_client: redis.Redis) -> None:
    """A worker has swept, wholly, after this call: its sweep's last act in Redis is done twice."""
    for _ in range(2):
        redis_client.sadd(keys.WORKERS, "rq:worker:expired")
        await until(lambda: not redis_client.sismember(keys.WORKERS, "rq:worker:expired"))


async def test_unreadable_announcements_end_no_worker(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(type(worker._model_cache), "is_settled", False)  # so that it reads those of others
    redis_client.sadd(keys.WORKERS, keys.worker("other"), NO_TEXT, keys.WORKER_PREFIX + "w2")
    redis_client.set(keys.WORKER_PREFIX + "w2", "alive for RQ")
    redis_client.set(keys.worker("w2"), b"\xc1garbage")
    redis_client.hset(keys.MODELS, NO_TEXT, b"\xc1garbage")
    redis_client.sadd(keys.QUEUES, NO_TEXT, keys.QUEUE_PREFIX.encode() + NO_TEXT)
    redis_client.sadd(keys.workers_of("embed:fake:default"), NO_TEXT)
    await sweeps(redis_client)
    assert vectors(await run(queue, "still here")) == [expected_vector("still here")]
    assert not worker._is_broken
    redis_client.srem(keys.WORKERS, keys.WORKER_PREFIX + "w2")
    redis_client.delete(keys.worker("w2"))


async def test_keys_of_another_type_give_way_to_announcements(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis
):
    redis_client.delete(keys.MODELS)
    redis_client.set(keys.MODELS, "not a hash")
    await until(lambda: redis_client.type(keys.MODELS) == b"hash")
    assert not worker._is_broken


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xfe",
        b"no json",
        b"[]",
        b"7",
        b"{}",
        b'{"command": "stop-job"}',
        b'{"command": "stop-job", "job_id": 7}',
    ],
)
async def test_unreadable_commands_are_ignored_and_later_ones_obeyed(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis, message: bytes
):
    channel = f"rq:pubsub:{worker.name}"
    redis_client.publish(channel, message)
    seen = list[object]()
    assert worker.pubsub is not None and worker.pubsub_thread is not None
    original = worker.handle_payload
    worker.pubsub.channels[channel.encode()] = lambda payload: (seen.append(payload), original(payload))
    await until(
        lambda: (
            redis_client.publish(channel, json.dumps({"command": "mlxq-drop", "job_id": "no such"})) and seen
        )
    )
    assert worker.pubsub_thread.is_alive()


@pytest.mark.parametrize("job_id", [NO_TEXT, b"two\nlines"])
async def test_a_job_whose_id_is_no_id_ends_no_worker(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis, job_id: bytes
):
    redis_client.hset(keys.JOB_PREFIX.encode() + job_id, mapping={"status": "queued", "data": "any"})
    redis_client.rpush(keys.queue("embed:fake:interactive"), job_id)
    assert vectors(await run(queue, "still here")) == [expected_vector("still here")]
    assert redis_client.zrange(keys.registry("failed", "embed:fake:interactive"), 0, -1) == [job_id]
    assert not worker._is_broken


async def test_a_task_of_the_heartbeat_that_redis_refuses_stops_no_claims_and_is_logged_once(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
):
    served_by = keys.workers_of("embed:fake:default")
    members = redis_client.smembers(served_by)
    redis_client.delete(served_by)
    redis_client.set(served_by, "not a set")  # each sweep reads it
    ticks = worker.ticks
    await until(lambda: worker.ticks > ticks + 20)  # four sweeps
    assert vectors(await run(queue, "still here")) == [expected_vector("still here")]
    assert not worker._is_broken
    said = [each.message for each in caplog.records if "Redis" in each.message]
    assert said == ["Redis refuses a command of the heartbeat's"]
    redis_client.delete(served_by)
    redis_client.sadd(served_by, *members)
