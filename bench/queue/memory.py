"""Whether the processes grow: their memory after 10,000 requests, and after 100,000 more."""

import psutil

from bench.client import load_from_processes
from bench.queue.http import BODY
from bench.report import Row
from bench.stack import api, process, python, redis_server

WARM, TOTAL = 10_000, 100_000


async def measure(repeats: int) -> list[Row]:
    """One run, whatever `repeats`: memory does not vary as time does."""
    with redis_server() as url:
        async with (
            process(*python("-m", "bench.queue.noop_worker"), REDIS_URL=url) as worker,
            api(url) as port,
        ):
            watched = {"API": _api_process(), "worker": psutil.Process(worker.pid)}
            await load_from_processes(port, [BODY], connections=64, total=WARM)
            before = {name: each.memory_info().rss for name, each in watched.items()}
            load = await load_from_processes(port, [BODY], connections=64, total=TOTAL)
            assert load.errors == 0
            after = {name: each.memory_info().rss for name, each in watched.items()}
    return [
        Row(
            f"{name} process",
            {
                "MB": after[name] / 1e6,
                "MB after the first 10,000": before[name] / 1e6,
                "growth": after[name] / before[name] - 1,
            },
        )
        for name in watched
    ]


def _api_process() -> psutil.Process:
    children = psutil.Process().children(recursive=True)
    return next(child for child in children if "cli.api_process" in child.cmdline())
