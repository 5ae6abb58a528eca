"""Which worker process has which job in hand, by RQ's registries of started jobs."""

from typing import Any, NamedTuple

import redis.asyncio

from jobs.store import keys


class InHand(NamedTuple):
    """crashes: how often the job was in a worker that died, so far."""

    job_id: str
    pid: int
    crashes: int


async def in_hand(client: redis.asyncio.Redis) -> list[InHand]:
    queues: Any = await client.smembers(keys.QUEUES)
    pipeline = client.pipeline(transaction=False)
    for name in keys.names(queues, keys.QUEUE_PREFIX):
        pipeline.zrange(keys.registry("started", name), 0, -1)
    ids = [member.decode().partition(":")[0] for members in await pipeline.execute() for member in members]
    for job_id in ids:
        pipeline.hmget(keys.job(job_id), "worker_name", "mlxq_crashes")
    found = zip(ids, await pipeline.execute(), strict=True)
    return [
        InHand(job_id, int(worker.split(b".")[1]), int(crashes or 0))
        for job_id, (worker, crashes) in found
        if worker
    ]
