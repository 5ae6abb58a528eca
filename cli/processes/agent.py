"""The agent of this machine, which does what clients tell it with the machine's models."""

from collections.abc import Sequence

from cli.configuration import child_environ
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store.connection import connect_async, redis_url
from workers.host.agent import Agent


async def run_agent(settings: Settings, served: Sequence[str], pipe: ParentPipe) -> None:
    """Until it is cancelled. served: the ids of the models that the settings name."""
    redis = connect_async(redis_url(settings))
    try:
        await Agent(redis, settings.data, served, child_environ(settings), pipe.read_fd).run()
    finally:
        await redis.aclose()
