"""`mlxq serve`: the API alone."""

import asyncio

from cli.processes import event_loop
from cli.processes.listener import listen, listen_locally, local_url
from cli.processes.process_tree import run_tree
from cli.processes.supervisors import api_supervisors
from cli.startup.redis_check import check_redis
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store.connection import redis_url
from jobs.store.redis_url import shown_url


def serve(settings: Settings) -> int:
    async def run() -> int:
        return await run_tree([api_supervisors(settings, listener, large, ParentPipe())], asyncio.sleep(0))

    with listen(settings.host, settings.port) as listener, listen_locally() as large:
        url = redis_url(settings)
        check_redis(url)
        print(
            f"mlxq serves {local_url(listener)}, with the Redis at {shown_url(url)}. Ctrl-C ends it.",
            flush=True,
        )
        return event_loop.run(run())
