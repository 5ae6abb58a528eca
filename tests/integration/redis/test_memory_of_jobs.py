"""What a job takes of Redis' memory once it has finished."""

import random
from pathlib import Path

import redis

from jobs.embed import EmbedJob, EmbedResult
from jobs.job import SubmitOptions
from jobs.store import keys, record
from jobs.store.connection import connect
from jobs.store.redis_server import RedisServer
from jobs.store.scripts import script
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome, QueueCapacity

QUEUE = "embed:all-MiniLM-L6-v2:default"
RESULT = EmbedResult(dimensions=8, vectors=random.Random(1).randbytes(32), tokens=(7,))
AT_ONCE = 200


def finish_jobs(client: redis.Redis, count: int, *, metadata: dict[str, str] | None = None) -> str:
    """Submits, claims and finishes small jobs. The id of the last one."""
    queue = WorkerQueue(client, "a-macs-host-name.12345.abcdef01", lease_s=60, max_crashes=3)
    admit = client.register_script(script("admit"))
    job_id = ""
    for _ in range(count // AT_ONCE):
        args = [1_000_000, 1 << 40, 60, AT_ONCE]
        for _ in range(AT_ONCE):
            job = EmbedJob(model="all-MiniLM-L6-v2", inputs=("A small text of some forty characters." * 2,))
            fields = record.encode(job, SubmitOptions(metadata=metadata or {}), "")
            args += [record.new_id(), QUEUE, "", "", "", 100, len(fields), *fields]
        admit(args=args)
        capacity = QueueCapacity(QUEUE, 1 << 30, AT_ONCE)
        claims = queue.claim([capacity], max_jobs=AT_ONCE, suspect=False).claims
        outcomes = [Outcome(claim, "finished", 86_400, queue.store(claim, RESULT)) for claim in claims]
        assert queue.finish(outcomes, 0.1) == (set(), [])
        job_id = claims[-1].id
    client.zrem(keys.LEASES, queue.worker)
    return job_id


def used_bytes(client: redis.Redis) -> int:
    return client.info("memory")["used_memory"]  # pyright: ignore


def test_a_small_job_that_has_finished_takes_at_most_1200_bytes(tmp_path: Path):
    # A server of its own: tables that other tests left large or small would count.
    with RedisServer(tmp_path) as server, connect(server.url) as client:
        finish_jobs(client, 2000)
        before = used_bytes(client)
        finish_jobs(client, 4000)
        assert (used_bytes(client) - before) / 4000 <= 1200


def test_a_finished_job_has_no_inputs_and_lies_in_as_little_as_redis_can_take(redis_client: redis.Redis):
    job_id = finish_jobs(redis_client, AT_ONCE, metadata={"page": "7"})
    assert redis_client.object("encoding", keys.job(job_id)) == b"listpack"
    assert b"forty characters" not in redis_client.dump(keys.job(job_id))  # pyright: ignore
    assert (redis_client.memory_usage(keys.results(job_id)) or 1000) < 1000
    assert not redis_client.exists("mlxq:new_result")
