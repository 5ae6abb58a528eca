"""`mlxq up`: Redis, API and worker in one process tree with one Ctrl-C."""

import asyncio
import json
import logging
import socket
import sys
import time
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from cli import event_loop
from cli.listener import listen, listen_locally, local_url
from cli.models import served_names
from cli.process_tree import run_tree
from cli.processes import api_supervisors, worker_supervisor
from cli.redis_state import check_redis
from cli.try_out import commands
from jobs.process.colour import paint
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store.connection import own_server
from jobs.store.data_folder import RedisServerError
from jobs.store.redis_server import RedisServer
from jobs.store.redis_url import shown_url
from workers.backend import check_backend

log = logging.getLogger(__name__)

POLL_S = 0.2


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
            group.create_task(_announce_if_possible(url, names))
            if redis is not None:
                group.create_task(_keep_running(redis))

    return await run_tree(stages, beside())


async def _keep_running(redis: RedisServer) -> None:
    """Redis is started again after a crash: its append-only file holds all but the last second."""
    said = ""
    while True:
        await asyncio.sleep(POLL_S)
        if redis.running:
            said = ""
            continue
        if not said:
            log.error(said := "Redis ended; it is started again")
        try:
            await asyncio.to_thread(redis.start)
        except (RedisServerError, OSError) as error:
            if (why := f"Redis could not be started: {error}") != said:  # once, not with every try
                log.error(said := why)
            await asyncio.sleep(1)


async def _announce_if_possible(url: str, names: Sequence[str]) -> None:
    """A greeting that fails must not end what runs beside it."""
    try:
        await _announce(url, names)
    except Exception:
        log.exception("The service could not be announced")


async def _announce(url: str, names: Sequence[str]) -> None:
    """Says when the first request can be answered, and how to send it. names: of the models that are ours."""
    started = time.monotonic()
    while await asyncio.to_thread(_get, f"{url}/ready") is None:  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(POLL_S)
    listed: Any = await asyncio.to_thread(_get, f"{url}/v1/models") or {}
    models = sorted(
        (each for each in listed.get("data") or () if each.get("id") in names),
        key=lambda model: names.index(model["id"]),
    )
    ready = paint(f"Ready after {time.monotonic() - started:.1f} s.", "green", sys.stdout)
    print(f"{ready} Try:" if models else ready)
    for command in commands(url, models):
        print(f"  {command}")
    print(f"API documentation: {url}/docs. Ctrl-C ends everything.", flush=True)


def _get(url: str) -> Any:
    """The JSON body of a 200, None for anything else."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as answer:
            return json.load(answer)
    except (HTTPError, HTTPException, OSError, ValueError):
        return None
