"""Says that a worker is on its way while it loads its models: callers who would be refused wait for it."""

import contextlib
import threading
from collections.abc import Iterator

from redis.exceptions import RedisError

from workers.queue.client import WorkerQueue


@contextlib.contextmanager
def starting(queue: WorkerQueue, lease_s: float) -> Iterator[None]:
    """While entered, Redis is told again and again, from a thread of its own; where Redis is away, it is not."""
    done = threading.Event()

    def tell() -> None:
        while not done.is_set():
            with contextlib.suppress(RedisError):
                queue.announce_start()
            done.wait(lease_s / 4)

    threading.Thread(target=tell, name="starting", daemon=True).start()
    try:
        yield
    finally:
        done.set()
