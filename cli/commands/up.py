"""`mlxq up`: Redis, API and worker in one process tree with one Ctrl-C."""

import asyncio
import socket
import sys
from collections.abc import Sequence

from cli.processes import event_loop
from cli.processes.listener import listen, listen_locally, local_url
from cli.processes.own_redis import keep_running
from cli.processes.process_tree import run_tree
from cli.processes.supervisors import api_supervisors, worker_supervisor
from cli.startup.model_check import served_names
from cli.startup.ready_message import announce_when_ready
from cli.startup.redis_check import check_redis
from jobs.process.colour import paint
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store.connection import own_server
from jobs.store.redis_server import RedisServer
from jobs.store.redis_url import shown_url
from workers.backend import check_backend


def up(settings: Settings) -> int:
    """Stops in the order worker (which finishes its batch), API, Redis.

    Raises: NoBackend, CannotServe, RedisRefused, RedisServerError, OSError.
    """
    check_backend()
    names = served_names(settings)
    if settings.access_log is None:
        settings = settings.model_copy(update={"access_log": True})
    with listen(settings.host, settings.port) as listener, listen_locally() as large:
        redis = own_server(settings)
        if redis is None:
            check_redis(settings.redis_url or "")
            return event_loop.run(_run(settings, (listener, large), None, names))
        with redis:
            settings = settings.model_copy(update={"redis_url": redis.url})
            return event_loop.run(_run(settings, (listener, large), redis, names))


async def _run(
    settings: Settings,
    listeners: tuple[socket.socket, socket.socket],
    redis: RedisServer | None,
    names: Sequence[str],
) -> int:
    """listeners: of all requests, and of those with large bodies."""
    pipe = ParentPipe()
    stages = [[worker_supervisor(settings, pipe)], api_supervisors(settings, *listeners, pipe)]
    url = local_url(listeners[0])
    print(f"{paint('mlxq', 'bold', sys.stdout)} starts on {url}", flush=True)
    print(f"  Redis   {shown_url(settings.redis_url or '')}{' (its own)' if redis else ''}")
    print(f"  models  {', '.join(settings.models)}", flush=True)

    async def beside() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(announce_when_ready(url, names))
            if redis is not None:
                group.create_task(keep_running(redis))

    return await run_tree(stages, beside())
