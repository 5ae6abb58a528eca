"""`mlxq up`: Redis, API and worker in one process tree with one Ctrl-C."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Generator, Sequence

from cli.configuration import data_option
from cli.processes import event_loop
from cli.processes.agent import run_agent
from cli.processes.listener import listen, listen_locally, local_url
from cli.processes.own_redis import keep_running
from cli.processes.process_tree import run_tree
from cli.processes.supervisors import api_supervisors, store_supervisor, worker_supervisor
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
    """Stops in the order worker (which finishes its batch), API, vector store, Redis.

    Raises: NoBackend, CannotServe, RedisRefused, RedisServerError, OSError.
    """
    check_backend()
    names = served_names(settings)
    if settings.access_log is None:
        settings = settings.model_copy(update={"access_log": True})
    with (
        listen(settings.host, settings.port) as listener,
        listen_locally() as large,
        _listen_for_qdrant(settings) as qdrant,
    ):
        listeners = (listener, large, qdrant)
        redis = own_server(settings)
        if redis is None:
            check_redis(settings.redis_url or "")
            return event_loop.run(_run(settings, listeners, None, names))
        with redis:
            settings = settings.model_copy(update={"redis_url": redis.url})
            return event_loop.run(_run(settings, listeners, redis, names))


@contextlib.contextmanager
def _listen_for_qdrant(settings: Settings) -> Generator[socket.socket | None]:
    """Where Qdrant's clients reach the embedded store, if they are to. On this machine only: it asks for no key."""
    if settings.qdrant_port is None or settings.qdrant_url is not None:
        yield None
        return
    with listen("127.0.0.1", settings.qdrant_port) as listener:
        yield listener


async def _run(
    settings: Settings,
    listeners: tuple[socket.socket, socket.socket, socket.socket | None],
    redis: RedisServer | None,
    names: Sequence[str],
) -> int:
    """listeners: of all requests, of those with large bodies, and of Qdrant's clients, if they are to be served."""
    pipe = ParentPipe()
    everything, large, qdrant = listeners
    stages = [[worker_supervisor(settings, pipe)], api_supervisors(settings, everything, large, pipe)]
    if settings.qdrant_url is None:
        stages.append([store_supervisor(settings, qdrant, pipe)])
    url = local_url(everything)
    print(f"{paint('mlxq', 'bold', sys.stdout)} starts on {url}", flush=True)
    print(f"  Redis   {shown_url(settings.redis_url or '')}{' (its own)' if redis else ''}")
    print(f"  models  {', '.join(settings.models)}", flush=True)
    if qdrant is not None:
        print(f"  Qdrant  {local_url(qdrant)} (the embedded store)", flush=True)

    async def beside() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(announce_when_ready(url, names, data_option(settings)))
            group.create_task(run_agent(settings, names, pipe))
            if redis is not None:
                group.create_task(keep_running(redis))

    return await run_tree(stages, beside())
