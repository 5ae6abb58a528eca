"""Announces a worker while it loads its models, so that callers wait for it instead of being refused."""

import contextlib
import threading
from collections.abc import Iterator

from redis.exceptions import RedisError

from workers.queue.client import WorkerQueue


@contextlib.contextmanager
def starting(queue: WorkerQueue, lease_s: float) -> Iterator[None]:
    """While entered, a thread of its own announces the start again and again. Errors of Redis are ignored."""
    done = threading.Event()

    def announce() -> None:
        while not done.is_set():
            with contextlib.suppress(RedisError):
                queue.announce_start()
            done.wait(lease_s / 4)

    threading.Thread(target=announce, name="starting", daemon=True).start()
    try:
        yield
    finally:
        done.set()
