"""What a user is told about Redis before anything is started."""

import asyncio
import logging

from cli.processes import event_loop
from jobs.store.connection import connect_async
from jobs.store.probe import Probe, RedisUnusable, WrongRedis

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""How long Redis may take to answer: a remote one that has slept takes its time."""


class RedisRefused(Exception):
    """Redis wants another user, password or setting: trying again would not help."""


def check_redis(url: str) -> None:
    """Ask Redis once. What runs without it waits for it, so one that is away is only warned of, at once. So is one that
    may lose jobs.

    Raises: RedisRefused.
    """
    try:
        for warning in event_loop.run(_ask(url)):
            log.warning(warning)
    except WrongRedis as error:
        raise RedisRefused(str(error)) from error
    except RedisUnusable as error:
        if error.is_final:
            raise RedisRefused(
                f"{error} Put them into the URL (REDIS_URL or --redis): redis://user:password@host:port"
            ) from error
        what_follows = (
            "It is waited for; requests are answered 503 meanwhile. Start it, or set REDIS_URL to another."
        )
        log.warning(" ".join([str(error), what_follows]))


async def _ask(url: str) -> tuple[str, ...]:
    """What the operator should know of it."""
    async with connect_async(url) as client:
        probe = Probe(client)
        try:
            await probe.ask(lambda: asyncio.sleep(0), PATIENCE_S)
            return probe.warnings
        finally:
            await probe.aclose()
