"""RQ's callbacks before a result is written, and follow-ups after it: in threads of their own, so that a slow one
delays no result.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from redis.exceptions import ConnectionError, RedisError, TimeoutError

from jobs.store.outage import is_refused_write
from workers.queue.client import WorkerQueue
from workers.queue.rq_bridge import RqBridge

log = logging.getLogger(__name__)

MAX_THREADS = 4
"""Callbacks, and follow-ups, at the same time: most of them wait for somebody's server."""

MAX_WAITING = 10_000
"""Follow-ups that wait here. More are left to a sweep, of this worker or another."""

RETRY_DELAYS_S = (10, 60)
"""Before the second and the third try of a follow-up that failed. After that it is dropped."""

MAX_TRIES = len(RETRY_DELAYS_S) + 1

RETRY_S = 0.5
"""Between two tries while Redis is away."""

T = TypeVar("T")


class TaskThreads:
    """Runs what it is given in a few threads, which do not keep the process alive."""

    def __init__(self, name: str, most: int = MAX_THREADS) -> None:
        self._name = name
        self._most = most
        self._tasks: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._changed = threading.Condition()
        self._threads = 0
        self._pending = 0

    @property
    def pending(self) -> int:
        """Tasks that wait or run."""
        return self._pending

    def submit(self, task: Callable[[], object]) -> None:
        """Have it run soon. What it raises is logged."""
        with self._changed:
            self._pending += 1
            if self._threads < min(self._pending, self._most):
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        self._tasks.put(task)

    def wait(self, until: float) -> bool:
        """Until all is done, or that time of time.monotonic. Whether all is done."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._pending == 0, timeout=max(0.0, until - time.monotonic())
            )

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except Exception:
                log.exception("a task of the worker failed", extra={"thread_of": self._name})
            with self._changed:
                self._pending -= 1
                self._changed.notify_all()


class FollowUps:
    """Sees to what ended jobs still ask for. Called from any thread."""

    def __init__(self, queue: WorkerQueue, bridge: RqBridge) -> None:
        self._queue = queue
        self._bridge = bridge
        self._threads = TaskThreads("follow-up")
        self._sweeping = False

    def see_to(self, job_ids: Sequence[str]) -> None:
        """These jobs have just ended here."""
        for job_id in job_ids[: max(0, MAX_WAITING - self._threads.pending)]:
            self._threads.submit(partial(self._take, job_id))

    def sweep(self) -> None:
        """Those that are due: of jobs that ended without a worker, of a worker that died, and what is tried again."""
        if not self._sweeping:
            self._sweeping = True
            self._threads.submit(self._take_due)

    def wait(self, until: float) -> bool:
        """Until all is done, or that time of time.monotonic. Whether all is done."""
        return self._threads.wait(until)

    def _take_due(self) -> None:
        self._sweeping = False
        # One at a time: what is taken and has to wait here would fall due again for others.
        while self._take(None):
            pass

    def _take(self, job_id: str | None) -> bool:
        """This follow-up, unless another worker has it; None: any that is due. Whether there may be more."""
        taken = self._when_redis_is_there(lambda: self._queue.take_followup(job_id))
        if taken is None:
            return False
        taken_id, tries = taken
        if tries > MAX_TRIES:  # its workers have died of it
            self._drop(taken_id)
            return True
        try:
            self._when_redis_is_there(lambda: self._bridge.follow_up(taken_id))
        except Exception as error:  # noqa: BLE001  # it is logged, and tried again
            self._failed(taken_id, tries, error)
        else:
            self._when_redis_is_there(lambda: self._queue.note_followed_up(taken_id))
        return True

    def _when_redis_is_there(self, act: Callable[[], T]) -> T:
        """An outage is no fault of a follow-up, and all of this may be repeated."""
        while True:
            try:
                return act()
            except RedisError as error:
                if not isinstance(error, ConnectionError | TimeoutError) and not is_refused_write(error):
                    raise
                self._queue.outage.note(error)
                time.sleep(RETRY_S)

    def _failed(self, job_id: str, tries: int, error: Exception) -> None:
        fields = {"job_id": job_id, "tries": tries}
        if tries >= MAX_TRIES:
            self._drop(job_id, error)
            return
        delay_s = RETRY_DELAYS_S[tries - 1]
        log.warning(
            "a follow-up failed, it is tried again", exc_info=error, extra={**fields, "in_s": delay_s}
        )
        self._when_redis_is_there(lambda: self._queue.postpone_followup(job_id, delay_s))

    def _drop(self, job_id: str, error: Exception | None = None) -> None:
        fields = {"job_id": job_id, "tries": MAX_TRIES}
        log.error("a follow-up failed at each try and is dropped", exc_info=error, extra=fields)
        self._when_redis_is_there(lambda: self._queue.note_followed_up(job_id))
