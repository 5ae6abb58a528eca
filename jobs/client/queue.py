"""The asynchronous client of the queue: submit, wait, view, cancel, count."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from jobs.blobs.of_job import blobs_of
from jobs.chats.redis import ChatLimits, RedisChats
from jobs.client.admit_batcher import AdmitBatcher
from jobs.client.fingerprint import fingerprint
from jobs.client.inspector import QueueInspector
from jobs.client.naming import for_model
from jobs.client.outcome_listener import MISSING, JobOutcome, OutcomeListener, expire
from jobs.client.refusal import Refusal
from jobs.client.result_reader import ResultReader
from jobs.client.stream_reader import MOST_HELD, TokenEvent, follow_stream
from jobs.client.watch import Watch, unavailable
from jobs.commands.worker_memory import RedisWorkerMemory
from jobs.errors import InternalError, InvalidInput, JobCanceled, QueueUnavailable, UnknownJob
from jobs.generate import Pieces
from jobs.job import ENDED, Job, JobPage, JobView, Lane, Result, SubmitOptions, Ticket, task_of
from jobs.machines.redis import RedisMachines
from jobs.models import ModelInfo, declared_model
from jobs.results.encoding import decode_stored
from jobs.results.folder import ResultFolder
from jobs.results.size import check_size
from jobs.settings import Settings
from jobs.stats import QueueStats
from jobs.store import keys, record
from jobs.store.outage import Outage, cause_of, is_wrong_type
from jobs.store.probe import RedisUnusable
from jobs.store.scripts import script
from jobs.store.servers.disk import DiskWait

log = logging.getLogger(__name__)

_CANCELED = msgspec.msgpack.encode(JobCanceled().failure())


class JobQueue:
    """One per process. Every method raises QueueUnavailable while Redis is away, and works again when it is back."""

    def __init__(
        self,
        redis: redis.asyncio.Redis,
        settings: Settings,
        data_folder: Path | None = None,
        results: ResultFolder | None = None,
    ) -> None:
        """data_folder: of our own Redis; `ready` names it where its disk is full.

        results: where workers put large results; None: in Redis.
        """
        self._redis = redis
        self._settings = settings
        self._outage = Outage(data_folder)
        self._watch = Watch(redis, self._outage, self._end_commands)
        self._commands: set[asyncio.Timeout] = set()  # of blocks of commands that are not done yet
        self._admit_batcher = AdmitBatcher(
            redis,
            max_jobs=settings.queue_limit,
            max_bytes=settings.queue_bytes,
            idempotency_ttl_s=settings.idempotency_ttl_s,
        )
        self._disk_wait = DiskWait(redis)
        self._outcomes = OutcomeListener(redis, self._outage)
        self._results = ResultReader(redis, results)
        declared = [declared_model(entry) for entry in settings.declared_models]
        self._inspector = QueueInspector(redis, limit=settings.queue_limit, declared=declared)
        self.memory = RedisWorkerMemory(redis, self._inspector.workers, self._reaching_redis)
        self._refusal = Refusal(self._inspector, most_bytes=settings.queue_bytes)
        self._cancel = redis.register_script(script("cancel"))
        self._attach = redis.register_script(script("attach"))
        limits = ChatLimits(settings.stored_chat_bytes, settings.stored_chat_ttl_s)
        self.chats = RedisChats(redis, limits, self._reaching_redis)
        self.machines = RedisMachines(redis, self._reaching_redis, self._inspector.forget_models)
        self._expected: dict[str, asyncio.Future[JobOutcome]] = {}
        self._models: dict[str, str] = {}  # by the ids of jobs that are about to be waited for

    async def start(self) -> None:
        """Begin to listen for outcomes and to watch Redis, which may be away."""
        await self._outcomes.start()
        await self._watch.start()

    async def aclose(self) -> None:
        """End all tasks and close the connections."""
        await self._watch.aclose()
        await self._outcomes.aclose()
        await self._inspector.aclose()
        await self._redis.aclose()

    def stop_waiting(self) -> None:
        """For the end of the process: waits for jobs and streams, and those to come, end with ServerStopping."""
        self._outcomes.stop_waiting()

    async def submit(self, job: Job, options: SubmitOptions) -> Ticket:
        """Put a job into its queue, under its model's id.

        Raises: what `model` raises, ResultTooLarge, Overloaded (with retry_after_s), IdempotencyConflict,
        QueueUnavailable.
        """
        info = await self.model(job.model, task_of(job))
        job = for_model(job, info)
        check_size(job, info, self._settings.max_result_bytes)
        job_id, queue = record.new_id(), record.queue_of(job, options)
        channel = ""
        if options.awaited:
            channel = self._outcomes.channel
            self._expected[job_id] = self._outcomes.expect(job_id)
        try:
            verdict, value = await self._admit(job_id, queue, job, options, channel)
        except BaseException:
            self._unexpect(job_id)
            raise
        if options.awaited and verdict in ("created", "existing"):
            self._models[value] = job.model
        if verdict == "created":
            return Ticket(id=job_id, created=True)
        self._unexpect(job_id)
        if verdict == "existing":
            return Ticket(id=value, created=False)
        async with self._reaching_redis():
            error = await self._refusal.of_job(queue, verdict, value)
        raise error

    async def wait(self, job_id: str, timeout_s: float) -> Result:
        """The job's result, as soon as it is there.

        Raises: the job's own JobError, UnknownJob, and what leaves the job alone: ResultTimeout; and, where the job was
        submitted to be waited for, NoWorker or QueueUnavailable when a worker or Redis is away for worker_wait_s.
        """
        future = self._expected.pop(job_id, None)
        is_expected = future is not None
        future = future or self._outcomes.expect(job_id)
        timer = asyncio.get_running_loop().call_later(timeout_s, expire, future)
        if (model := self._models.pop(job_id, None)) is not None:
            self._watch.guard(future, model, self._settings.worker_wait_s)
        try:
            status, body = (None, None) if is_expected else await self._ended_before(job_id)
            self._outcomes.admitted(job_id)
            if status is None:
                status, body = await future
        finally:
            timer.cancel()
            self._watch.release(future)
            self._outcomes.forget(job_id, future)
        return await self._outcome(job_id, status, body)

    async def stream(self, job_id: str, after: int = 0) -> AsyncGenerator[tuple[int, Pieces]]:
        """A streaming generation's events from number `after` + 1 on, each with its number; ends when the job does.

        Raises: the job's own JobError (also after some events), UnknownJob, InvalidInput for a job that does not
        stream, and NoWorker and QueueUnavailable as `wait` does. After the first event that takes wait_s: an answer
        that has begun outlives its worker.
        """
        future = self._expected.pop(job_id, None)
        is_expected = future is not None
        future = future or self._outcomes.expect(job_id)
        reader = self._outcomes.follow(job_id)
        if (model := self._models.pop(job_id, None)) is not None:
            self._watch.guard(future, model, self._settings.worker_wait_s)
        status: str | None = None
        body: bytes | None = None
        begun = False
        try:
            if not is_expected:
                await self._check_streams(job_id)
                status, body = await self._ended_before(job_id)
                if status and not future.done():
                    future.set_result((status, body))
            self._outcomes.admitted(job_id)
            reading = follow_stream(reader, future, functools.partial(self._read_log, job_id), after)
            async with contextlib.aclosing(reading) as events:
                async for event in events:
                    if not begun:
                        begun = True
                        if model is not None:
                            self._watch.guard(future, model, self._settings.wait_s)
                    yield event.read()
            if status is None:  # else the job had ended before, and the future may hold an error of the wait
                status, body = future.result()
        finally:
            self._watch.release(future)
            self._outcomes.unfollow(job_id, reader)
            self._outcomes.forget(job_id, future)
        if status != "finished":
            await self._outcome(job_id, status, body)

    async def _read_log(self, job_id: str, after: int) -> list[TokenEvent] | None:
        """The events after that number. None while Redis is away: the stream waits, as its job does."""
        try:
            async with self._reaching_job():
                rows: Any = await self._redis.xrange(keys.stream(job_id), min=f"({after}-0", count=MOST_HELD)
        except QueueUnavailable:
            return None
        return [TokenEvent(int(number.partition(b"-")[0]), fields[b"pieces"]) for number, fields in rows]

    async def _check_streams(self, job_id: str) -> None:
        async with self._reaching_job():
            await self._inspector.check_ours(job_id)
            if not await self._redis.hexists(keys.job(job_id), "mlxq_streams"):
                raise InvalidInput(
                    "This job does not stream: it was not submitted with stream = true.", param="stream"
                )

    async def cancel(self, job_id: str) -> bool:
        """End a job that has not ended; False if it has. Raises UnknownJob."""
        self._unexpect(job_id)
        async with self._reaching_job():
            await self._inspector.check_ours(job_id)
            verdict = await self._cancel(args=[job_id, record.timestamp(), _CANCELED])
        if verdict == b"missing":
            raise UnknownJob
        return verdict == b"canceled"

    async def delete(self, job_id: str) -> JobView | None:
        """Free all that is kept of a job that has ended, else None: it without its result. Raises UnknownJob."""
        async with self._reaching_job():
            found, stored = await self._inspector.view(job_id)
            deleted = found.status in ENDED and await self._results.delete(job_id, stored)
        return found if deleted else None

    async def view(self, job_id: str) -> JobView:
        """All there is to know, with the result. Raises UnknownJob."""
        found, stored = await self._view(job_id)
        if stored is None:
            return found
        try:
            return msgspec.structs.replace(found, result=await self._load(stored))
        except UnknownJob:
            found, _ = await self._view(job_id)
            if found.status in ENDED:
                raise
            return found  # Redis has lost its end since, and it runs again

    async def views(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        lane: Lane | None = None,
        limit: int,
        offset: int = 0,
        after: str | None = None,
    ) -> JobPage:
        """Jobs by filter, newest first, without results; those that follow the job `after`, which may be gone.

        A page may be short though there is more (`next`). Raises InvalidInput for an offset that is too deep.
        """
        async with self._reaching_redis():
            return await self._inspector.views(
                status=status, model=model, lane=lane, limit=limit, offset=offset, after=after
            )

    async def stats(self) -> QueueStats:
        """How full every queue is, and which workers live."""
        async with self._reaching_redis():
            return await self._inspector.stats()

    async def model(self, name: str, task: str | None = None) -> ModelInfo:
        """The model that the name means (see jobs.models.find_model).

        Raises: UnknownModel, NoWorker where there is no model at all, QueueUnavailable, and InvalidInput where the
        model does not do the task or the name means several models.
        """
        known = self._inspector.known_model(name, task)
        if known is not None:
            return known
        async with self._reaching_redis():
            return await self._inspector.model(name, task)

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models that jobs are taken for, also while no worker serves them."""
        async with self._reaching_redis():
            return await self._inspector.models()

    async def ready(self) -> bool:
        """Whether a worker sent a heartbeat within its lease. Answers within two seconds, whatever Redis does.

        Raises: QueueUnavailable, which names the cause.
        """
        try:
            return bool(await self._watch.workers())
        except RedisUnusable as error:
            raise QueueUnavailable(str(error)) from error

    def _end_commands(self) -> None:
        """End what waits for Redis once an outage lasts, with its connections, which may never answer."""
        if self._outage.is_lasting and self._commands:
            while self._commands:
                self._commands.pop().reschedule(0)
            self._disconnecting = asyncio.create_task(self._redis.connection_pool.disconnect())

    @contextlib.asynccontextmanager
    async def _reaching_redis(self) -> AsyncGenerator[None]:
        """Commands in it may take as long as they need, but end once an outage lasts."""
        if self._outage.cause is not None and self._outage.is_lasting:  # known to fail
            raise unavailable(self._outage.cause)
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._commands.add(limit)
                try:
                    yield
                finally:
                    self._commands.discard(limit)
        except (RedisError, OSError) as error:
            if limit.expired():
                raise unavailable(self._outage.cause or cause_of(error)) from error
            if not is_wrong_type(error):
                raise unavailable(cause_of(error)) from error
            log.exception("a key in Redis holds what is not ours")
            raise InternalError from error

    @contextlib.asynccontextmanager
    async def _reaching_job(self) -> AsyncGenerator[None]:
        """For calls about one job: a record of another type is none."""
        async with self._reaching_redis():
            try:
                yield
            except ResponseError as error:
                if is_wrong_type(error):
                    raise UnknownJob from error
                raise

    async def _admit(
        self, job_id: str, queue: str, job: Job, options: SubmitOptions, channel: str
    ) -> tuple[str, str]:
        fields, parts = record.parted(record.encode(job, options, channel))
        idem = options.idempotency_key
        sent_bytes = record.size_bytes(fields, parts)
        size_bytes = sent_bytes + sum(blob.size_bytes for blob in blobs_of(job))
        ttl_s = "" if options.ttl_s is None else options.ttl_s
        known_by = (keys.idempotency(idem), fingerprint(job)) if idem else ("", "")
        args = [job_id, queue, ttl_s, *known_by, size_bytes, len(fields), *fields]
        async with self._reaching_redis():
            await self._refusal.check_memory()
            if parts:
                verdict = await self._admit_batcher.admit_large(args, keys.job(job_id), parts)
            else:
                verdict = await self._admit_batcher.admit(args, sent_bytes)
            if self._settings.wait_for_disk and not options.awaited:
                await self._disk_wait.wait()
            return verdict

    def _unexpect(self, job_id: str) -> None:
        self._models.pop(job_id, None)
        if future := self._expected.pop(job_id, None):
            self._outcomes.forget(job_id, future)

    async def _ended_before(self, job_id: str) -> tuple[str | None, bytes | None]:
        """Subscribe to the outcome of a job that was submitted elsewhere. Its status if it has ended already."""
        async with self._reaching_job():
            await self._inspector.check_ours(job_id)
            status = await self._attach(args=[job_id, self._outcomes.channel])
        if status is None:
            raise UnknownJob
        return (status.decode(), None) if status.decode() in ENDED else (None, None)

    async def _outcome(self, job_id: str, status: str, body: bytes | None) -> Result:
        if status == MISSING:
            raise UnknownJob
        if status != "finished" and body is not None:
            raise record.decode_failure(body).error()
        found, body = await self._view(job_id) if body is None else (None, body)
        if status == "finished" and body is not None:
            try:
                return await self._load(body)
            except UnknownJob:
                found, _ = await self._view(job_id)
        if found is not None and found.status not in ENDED:  # its end was told, and Redis has lost it since
            raise QueueUnavailable("Redis has lost the end of this job, which runs again. Ask for it again.")
        if status == "finished" or found is None:
            raise UnknownJob
        raise found.error.error() if found.error else JobCanceled

    async def _view(self, job_id: str) -> tuple[JobView, bytes | None]:
        async with self._reaching_job():
            return await self._inspector.view(job_id)

    async def _load(self, stored: bytes) -> Result:
        found = decode_stored(stored)
        if isinstance(found, Result):
            return found
        async with self._reaching_redis():
            return await self._results.read(found)
