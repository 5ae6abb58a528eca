"""`mlxq worker`: one worker, restarted when it dies."""

import asyncio

from cli.process_tree import run_tree
from cli.processes import worker_supervisor
from jobs.parent import ParentPipe
from jobs.settings import Settings
from workers.backend import check_backend


def worker(settings: Settings) -> int:
    """Raises: NoBackend."""
    check_backend()

    async def run() -> int:
        return await run_tree([[worker_supervisor(settings, ParentPipe())]], asyncio.sleep(0))

    return asyncio.run(run())
