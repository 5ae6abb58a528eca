"""The agent of this machine, which does what clients tell it with the machine's models."""

import asyncio
import logging
from collections.abc import Sequence

from cli.configuration import child_environ
from jobs.catalogue.settings_models import needed_by
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store.connection import connect_async, redis_url
from workers.host.agent import Agent

log = logging.getLogger(__name__)

RETRY_S = 5.0


async def run_agent(settings: Settings, served: Sequence[str], pipe: ParentPipe) -> None:
    """Until it is cancelled. served: the ids of the models that the settings name.

    An agent that fails is started again: the server goes on without it meanwhile.
    """
    redis = connect_async(redis_url(settings))
    try:
        environ, needed = child_environ(settings), needed_by(settings.models)
        while True:
            try:
                await Agent(redis, settings.data, served, environ, pipe.read_fd, needed=needed).run()
            except Exception:
                log.exception("the agent of this machine failed, and is started again")
                await asyncio.sleep(RETRY_S)
    finally:
        await redis.aclose()
