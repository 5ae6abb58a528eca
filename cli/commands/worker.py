"""`mlxq worker`: one worker, restarted when it dies."""

import logging

from cli.processes import event_loop
from cli.processes.agent import run_agent
from cli.processes.process_tree import run_tree
from cli.processes.supervisors import worker_supervisor
from cli.startup.model_check import served_names
from cli.startup.redis_check import check_redis
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store.connection import redis_url
from jobs.store.data_folder import DataFolder
from workers.backend import check_backend

log = logging.getLogger(__name__)


def worker(settings: Settings) -> int:
    """Raises: NoBackend, CannotServe, RedisRefused."""
    check_backend()
    names = served_names(settings)
    if settings.redis_url is None and not DataFolder(settings.data / "redis").is_served():
        log.warning(
            "No Redis runs in this folder: the worker waits for it. Start `mlxq up` with this --data, or set REDIS_URL "
            "(or --redis) to the Redis of your `mlxq serve`.",
            extra={"data": settings.data},
        )
    else:
        check_redis(redis_url(settings))

    async def run() -> int:
        pipe = ParentPipe()
        return await run_tree([[worker_supervisor(settings, pipe)]], run_agent(settings, names, pipe))

    return event_loop.run(run())
