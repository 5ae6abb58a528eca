"""What a supervisor does for its own child that died: the jobs that it had claimed need not wait for their leases."""

import contextlib
import logging

from redis.exceptions import RedisError

from jobs.settings import Settings
from jobs.store.connection import connect_once, redis_url
from jobs.store.outage import cause_of
from workers.queue.client import WorkerQueue

log = logging.getLogger(__name__)


def free_leases(settings: Settings, worker: str) -> None:
    """Requeue the dead worker's jobs at once. Where Redis cannot be used, their leases run out in time."""
    with contextlib.closing(connect_once(redis_url(settings))) as connection:
        queue = WorkerQueue(connection, worker, lease_s=settings.lease_s, max_crashes=settings.max_crashes)
        try:
            requeued, failed = queue.reclaim_own()
        except (RedisError, OSError) as error:
            log.warning("cannot free the leases of a dead worker", extra={"cause": cause_of(error)})
            return
    if requeued or failed:
        log.warning("jobs of a dead worker go back", extra={"requeued": requeued, "failed": failed})
