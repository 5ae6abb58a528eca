"""A worker that starts: it is announced, so that callers wait for it, and its models must be those of the others."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator

from redis.exceptions import RedisError

from jobs.errors import InvalidInput
from jobs.models import ModelInfo
from workers.queue.client import WorkerQueue
from workers.queue.fleet import Fleet, OtherFiles

log = logging.getLogger(__name__)

POLL_S = 0.5


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


def register_models(
    fleet: Fleet,
    models: Collection[ModelInfo],
    lease_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Have jobs taken for these models. Raises RedisError, and InvalidInput where another worker that lives serves one
    of them from other files: whether it lives shows within a lease.
    """
    until = clock() + lease_s + 1
    waits = False
    while (conflict := fleet.register(models, lease_s)) is not None:
        if clock() >= until:
            raise other_files(conflict, models)
        if not waits:
            waits = True
            fields = {"model": conflict.model, "worker": conflict.worker}
            log.warning(
                "another worker serves this model from other files, waiting for its end", extra=fields
            )
        sleep(POLL_S)
    fleet.announce_models(models)


def other_files(conflict: OtherFiles, models: Collection[ModelInfo]) -> InvalidInput:
    """The error for a worker that must not serve beside the other."""
    ours = next(info.digest for info in models if info.id == conflict.model)
    return InvalidInput(
        f"The worker {conflict.worker} serves {conflict.model} from other files (digest {conflict.digest}) than those "
        f"here (digest {ours}): config, tokenizer or weights differ, and answers of both would be mixed. Give all "
        f"workers the same files, serve these under another name (--model ALIAS=FOLDER), or stop {conflict.worker} "
        "first.",
        param="model",
    )
