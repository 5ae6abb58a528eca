"""Records in our queues that no worker of this version can read."""

import random
import secrets
import time
from pathlib import Path

import redis
from rq import Queue

from jobs.embed import EmbedJob
from jobs.job import Lane
from jobs.store import keys, record
from tests.chaos.plan import MODEL

KEEP_S = 3600
UNREADABLE = "unreadable_job"
READABLE = EmbedJob(model=MODEL, inputs=("plain from a newer version",))
"""The one that a worker can read all the same."""


class Garbage:
    """expected: what must become of each id. strewn_at: when it was there, by time.time(). wrong_type: ids whose record
    is no hash; these are removed by hand.
    """

    def __init__(self, client: redis.Redis, chance: random.Random) -> None:
        self._redis = client
        self._chance = chance
        self.expected: dict[str, tuple[str, str | None]] = {}
        self.strewn_at: dict[str, float] = {}
        self.wrong_type: dict[str, str] = {}

    def strew(self) -> None:
        """One of each sort, anywhere in a queue."""
        self._write({"data": secrets.token_bytes(40)}, ("failed", UNREADABLE))
        self._write({"data": b"\x78" + secrets.token_bytes(40)}, ("failed", UNREADABLE))
        self._write({}, ("failed", UNREADABLE))
        data = record.pack((record.FUNCTION, None, (READABLE,), {}))
        self._write({"data": data, "status": "ready_to_enqueue"}, ("finished", None))
        self._write({"data": record.pack(("mlxq.other", None, (READABLE,), {}))}, ("failed", UNREADABLE))
        self._put(self._queue(), secrets.token_hex(8), self._redis)  # in the queue, but without a record
        queue, job_id = self._queue(), "wrong-type-" + secrets.token_hex(8)
        self.wrong_type[job_id] = queue
        transaction = self._redis.pipeline()
        transaction.set(keys.job(job_id), "not a hash")
        self._put(queue, job_id, transaction)
        transaction.execute()
        stock = Queue(self._queue(), connection=self._redis)
        pickled = stock.enqueue(Path.cwd, failure_ttl=KEEP_S, result_ttl=KEEP_S)
        self._note(pickled.id, ("failed", UNREADABLE))

    def clear(self) -> None:
        """Take what only a person can judge out of the way."""
        for job_id, queue in self.wrong_type.items():
            self._redis.delete(keys.job(job_id))
            self._redis.zrem(keys.registry("failed", queue), job_id)

    def _queue(self) -> str:
        return keys.queue_name("embed", MODEL, self._chance.choice(list(Lane)))

    def _write(self, fields: dict[str, str | bytes], expected: tuple[str, str | None]) -> None:
        job_id, queue = "garbage-" + secrets.token_hex(8), self._queue()
        common = {"status": "queued", "origin": queue, "created_at": record.timestamp()}
        common |= {"failure_ttl": str(KEEP_S), "result_ttl": str(KEEP_S), "mlxq_written_at": str(time.time())}
        transaction = self._redis.pipeline()
        transaction.hset(keys.job(job_id), mapping={**common, **fields})
        self._put(queue, job_id, transaction)
        transaction.execute()
        self._note(job_id, expected)

    def _note(self, job_id: str, expected: tuple[str, str | None]) -> None:
        self.expected[job_id] = expected
        self.strewn_at[job_id] = time.time()

    def _put(self, queue: str, job_id: str, client: redis.Redis) -> None:
        push = client.lpush if self._chance.random() < 0.5 else client.rpush
        push(keys.queue(queue), job_id)
