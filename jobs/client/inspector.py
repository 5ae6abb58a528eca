# pyright: reportUnknownMemberType=false
"""What is in Redis: which models and workers there are, which jobs wait, and what became of each."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from jobs.client.job_list import JobList
from jobs.errors import Failure, JobError, UnknownJob
from jobs.job import JobPage, JobView, Lane
from jobs.machines.aliases import with_catalogues
from jobs.machines.announcements import AnnouncementReader
from jobs.models import MAX_SHOWN_CHARACTERS, ModelInfo, model_for
from jobs.process.cancelling import cancel_and_wait
from jobs.stats import LaneStats, QueueStats, RedisMemory, WorkerStats
from jobs.store import keys, record
from jobs.store.scripts import script

MODELS_FRESH_S = 1.0
"""How long an answer about models is used again, also the answer that Redis is away."""

MODEL_KNOWN_S = 7 * 86_400
"""Jobs are taken for a model that a worker has announced in this time: workers may be away over a holiday. A model that
was given up must not take jobs for ever that nobody does.
"""


class QueueInspector:
    """Reads what workers announce (mlxq:models, mlxq:worker:*) and what RQ's registries hold. Raises RedisError."""

    def __init__(self, redis: redis.asyncio.Redis, *, limit: int, declared: Sequence[ModelInfo] = ()) -> None:
        """limit: of a queue. declared: models that are known although no worker has announced them."""
        self._redis = redis
        self._limit = limit
        self._declared = declared
        self._reader = AnnouncementReader()
        self._list = JobList(redis)
        self._position = redis.register_script(script("position"))
        self._answer: tuple[ModelInfo, ...] = ()
        self._resolved: dict[tuple[str, str | None], ModelInfo | Failure] = {}
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[tuple[ModelInfo, ...] | Exception] | None = None

    def known_model(self, name: str, task: str | None) -> ModelInfo | None:
        """What `model` said a moment ago; it raises the same errors. None where `model` has to say it."""
        found = self._resolved.get((name, task)) if self._fresh() else None
        if isinstance(found, Failure):
            raise found.error()
        return found

    async def model(self, name: str, task: str | None) -> ModelInfo:
        """The model that the name means. Raises what jobs.models.model_for raises."""
        models = await self.models()
        try:
            found = model_for(name, models, task)
        except JobError as error:
            # A request with thousands of jobs asks as often, and to look for a similar name takes long.
            if models and len(name) <= MAX_SHOWN_CHARACTERS:
                self._resolved[name, task] = error.failure()
            raise
        self._resolved[name, task] = found
        return found

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models that jobs are taken for: those that workers have announced in MODEL_KNOWN_S, and those declared.
        Calls at the same time share one command, and its failure.
        """
        answer: tuple[ModelInfo, ...] | Exception = self._answer
        if not self._fresh():
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask_models())
            answer = await asyncio.shield(self._asking)
        if isinstance(answer, Exception):
            raise answer.with_traceback(None)  # or it would grow with every caller
        return answer

    async def aclose(self) -> None:
        """Ends a question that is still open."""
        if self._asking is not None:
            await cancel_and_wait(self._asking)

    def forget_models(self) -> None:
        """The next call asks Redis again: what models there are has changed."""
        self._asked_at = float("-inf")

    def _fresh(self) -> bool:
        return time.monotonic() - self._asked_at < MODELS_FRESH_S

    async def _ask_models(self) -> tuple[ModelInfo, ...] | Exception:
        try:
            self._answer = await self._announced()
        except (RedisError, OSError) as error:
            return error  # not kept: Redis may be back for the next caller
        self._resolved.clear()
        self._asked_at = time.monotonic()
        return self._answer

    async def _announced(self) -> tuple[ModelInfo, ...]:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.hgetall(keys.MODELS)
        pipeline.hgetall(keys.MACHINES)
        (now, _), replies, machines = await pipeline.execute()
        announced = [self._reader.model(raw, keys.announced_model(name)) for name, raw in replies.items()]
        declared = {info.id for info in self._declared}
        oldest = now - MODEL_KNOWN_S
        known = [
            each.info for each in announced if each and (each.seen_at > oldest or each.info.id in declared)
        ]
        catalogues = [
            self._reader.machine(raw, keys.announced_machine(name)) for name, raw in machines.items()
        ]
        known = with_catalogues(known, [each for each in catalogues if each and each.seen_at > oldest])
        ids = {info.id for info in known}
        known += [info for info in self._declared if info.id not in ids]
        return tuple(sorted(known, key=lambda info: info.id))

    async def workers(self) -> list[WorkerStats]:
        """Live workers: each one's announcement lives as long as its lease."""
        names = keys.names(await self._redis.smembers(keys.WORKERS), keys.WORKER_PREFIX)
        if not names:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.get(keys.worker(name))
        replies = await pipeline.execute(raise_on_error=False)
        pairs = [(name, raw) for name, raw in zip(names, replies, strict=True) if raw is not None]
        found = [self._reader.worker(raw, keys.worker(name)) for name, raw in pairs]
        return [worker for worker in found if worker is not None]

    async def attendance(self) -> tuple[list[WorkerStats], bool]:
        """The live workers, and whether another one is starting."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.zrange(keys.STARTING, -1, -1, withscores=True)
        (seconds, _), last = await pipeline.execute()
        return await self.workers(), bool(last) and last[0][1] > seconds

    async def drain_rate(self, queue: str) -> float:
        """Jobs per second that the live workers took from a queue lately."""
        return sum(worker.drain_rate.get(queue, 0.0) for worker in await self.workers())

    async def queues(self) -> list[str]:
        """Names of our queues, also of those that are empty by now."""
        names = keys.names(await self._redis.smembers(keys.QUEUES), keys.QUEUE_PREFIX)
        return sorted(name for name in names if keys.parse_queue_name(name))

    async def length(self, queue: str) -> int:
        """How many jobs wait in a queue."""
        pipeline = self._redis.pipeline(transaction=False)
        _ask_length(pipeline, queue)
        return _length(*await pipeline.execute())

    async def memory(self) -> RedisMemory | None:
        """How full Redis is; None where it does not tell."""
        try:
            told: dict[str, Any] = await self._redis.info("memory")
        except ResponseError:
            return None
        return RedisMemory(used_bytes=told["used_memory"], max_bytes=told.get("maxmemory") or None)

    async def stats(self) -> QueueStats:
        """How full every queue is, and the live workers."""
        workers, queues = await self.workers(), await self.queues()
        now, _ = await self._redis.time()
        pipeline = self._redis.pipeline(transaction=False)
        for name in queues:
            _ask_length(pipeline, name)
            pipeline.zcard(keys.registry("started", name))
            pipeline.zcard(keys.registry("scheduled", name))
            pipeline.zcount(keys.registry("finished", name), now, "+inf")
            pipeline.zcount(keys.registry("failed", name), now, "+inf")
        counts = await pipeline.execute()
        rows = [self._lane_stats(name, counts[7 * n : 7 * n + 7], workers) for n, name in enumerate(queues)]
        return QueueStats(tuple(rows), tuple(workers), await self.memory())

    def _lane_stats(self, name: str, counts: list[int], workers: Iterable[WorkerStats]) -> LaneStats:
        parsed = keys.parse_queue_name(name)
        assert parsed is not None
        *lengths, started, scheduled, finished, failed = counts
        return LaneStats(
            queue=name,
            task=parsed[0],
            model=parsed[1],
            lane=parsed[2],
            queued=_length(*lengths),
            started=started,
            scheduled=scheduled,
            finished=finished,
            failed=failed,
            limit=self._limit,
            drain_rate=sum(worker.drain_rate.get(name, 0.0) for worker in workers),
        )

    async def views(
        self,
        *,
        status: str | None,
        model: str | None,
        lane: Lane | None,
        limit: int,
        offset: int,
        after: str | None,
    ) -> JobPage:
        """Jobs by filter, newest first, without results. Raises InvalidInput for an offset that is too deep."""
        queues: list[str] = []
        for name in await self.queues():
            parsed = keys.parse_queue_name(name)
            if parsed and model in (None, parsed[1]) and lane in (None, parsed[2]):
                queues.append(name)
        return await self._list.page(queues, status=status, limit=limit, offset=offset, after=after)

    async def view(self, job_id: str) -> tuple[JobView, bytes | None]:
        """One job, and its stored result where there is one. Raises UnknownJob, UnreadableJob."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hmget(keys.job(job_id), record.VIEW_FIELDS)
        pipeline.xrevrange(keys.results(job_id), count=1)
        values, rows = await pipeline.execute()
        fields = record.named(values)
        if not record.is_ours(fields.get(b"origin")):
            raise UnknownJob
        record.check_version(fields.get(b"mlxq_version"))
        position: Any = None
        if fields.get(b"status") == b"queued":
            position = await self._position(args=[job_id, fields[b"origin"]])
        return record.view(job_id, fields, position, rows)

    async def check_ours(self, job_id: str) -> None:
        """Raises UnknownJob for a job in a queue of other RQ users: it must not be shown or canceled. Raises
        UnreadableJob for one of a later version.
        """
        answer: Any = await self._redis.hmget(keys.job(job_id), ["origin", "mlxq_version"])
        origin, version = answer
        if not record.is_ours(origin):
            raise UnknownJob
        record.check_version(version)


def _ask_length(pipeline: Pipeline, queue: str) -> None:
    pipeline.llen(keys.queue(queue))
    pipeline.scard(keys.tombstones(queue))
    pipeline.llen(keys.suspects(queue))


def _length(in_list: int, tombstones: int, suspects: int) -> int:
    return max(0, in_list - tombstones) + suspects
