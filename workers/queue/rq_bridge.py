"""What we use of RQ's own job machinery: callbacks, dependents, webhooks.

RQ 2 and RQ 3 differ here and in worker.py only.
"""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
import redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.timeouts import TimerDeathPenalty

from jobs.errors import JobError
from jobs.store import keys
from jobs.store.serializer import MsgpackSerializer
from workers.queue.client import WorkerQueue

log = logging.getLogger(__name__)


class RqBridge:
    """Callbacks run at least once, before the result is visible (as RQ does it)."""

    def __init__(self, connection: redis.Redis, queue: WorkerQueue) -> None:
        self._connection = connection
        self._queue = queue

    def fetch(self, job_id: str) -> Job:
        """RQ's view of a job. Raises RedisError, and NoSuchJobError."""
        return Job.fetch(job_id, connection=self._connection, serializer=MsgpackSerializer)

    def run_success_callback(self, job: Job, result: msgspec.Struct) -> None:
        """`on_success` gets the result as a plain dict. What it raises fails the job."""
        if job.success_callback:
            job.execute_success_callback(
                TimerDeathPenalty, msgspec.to_builtins(result, builtin_types=(bytes,))
            )

    def run_failure_callback(self, job_id: str, error: JobError) -> None:
        """`on_failure` gets the JobError; what goes wrong with it is logged, not raised."""
        try:
            self.fetch(job_id).execute_failure_callback(
                TimerDeathPenalty, type(error), error, error.__traceback__
            )
        except Exception:
            log.exception("failure callback failed", extra={"job_id": job_id})

    def run_stopped_callback(self, job_id: str) -> None:
        """`on_stopped`; what goes wrong with it is logged, not raised."""
        try:
            self.fetch(job_id).execute_stopped_callback(TimerDeathPenalty)
        except Exception:
            log.exception("stopped callback failed", extra={"job_id": job_id})

    def follow_up(self, job_id: str) -> None:
        """See to all that an ended job still asks for: a failure callback that no worker was there to run, the jobs
        that wait for it, webhooks. Done at least once. Raises what RQ does; a webhook that fails is only logged.
        """
        try:
            job = self.fetch(job_id)
        except NoSuchJobError:
            return
        if self._connection.hdel(job.key, "mlxq_callback_owed"):
            self.run_failure_callback(job_id, self._queue.failure(job_id))
        Queue(job.origin, connection=self._connection, serializer=MsgpackSerializer).enqueue_dependents(job)
        job.send_webhooks(job.get_status(refresh=False))

    def forget_dead_workers(self, queues: Sequence[str]) -> None:
        """Take workers whose record has expired out of RQ's lists: of these queues, and of all that have ever had a
        job, because nobody else may serve those of a dead worker. (RQ's own functions end the worker that meets what it
        does not know there.)
        """
        ever = keys.names(self._connection.smembers(keys.QUEUES), keys.QUEUE_PREFIX)  # pyright: ignore[reportArgumentType]
        lists = [keys.workers_of(queue) for queue in sorted({*queues, *ever})]
        pipeline = self._connection.pipeline(transaction=False)
        for key in (keys.WORKERS, *lists):
            pipeline.smembers(key)
        known = sorted({worker for members in pipeline.execute() for worker in members})
        for worker in known:
            pipeline.exists(worker)
        dead = [worker for worker, lives in zip(known, pipeline.execute(), strict=True) if not lives]
        if dead:
            for key in (keys.WORKERS, *lists):
                pipeline.srem(key, *dead)
            pipeline.execute()


def stop_job_target(payload: Any) -> str | None:
    """The job id of a command that ends a running job: RQ's stop-job, or our own drop."""
    if isinstance(payload, dict) and payload.get("command") in ("stop-job", "mlxq-drop"):
        job_id = payload.get("job_id")
        return job_id if isinstance(job_id, str) else None
    return None
