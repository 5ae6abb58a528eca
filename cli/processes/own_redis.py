"""Our own Redis runs as long as we do."""

import asyncio
import logging

from jobs.store.data_folder import RedisServerError
from jobs.store.redis_server import RedisServer

log = logging.getLogger(__name__)

POLL_S = 0.2
RETRY_S = 1.0


async def keep_running(redis: RedisServer) -> None:
    """Starts Redis again after a crash, for ever: its append-only file holds all but the last second."""
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
            await asyncio.sleep(RETRY_S)
