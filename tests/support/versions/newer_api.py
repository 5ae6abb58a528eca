"""Submits a job as an API process of the next version of records, and waits for it: `newer_api.py REDIS_URL TEXT`.

Prints the job's id once it is queued, then its vectors as hexadecimal digits.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob, EmbedResult
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.store.connection import connect_async
from tests.support.versions.later_version import become_later_version
from tests.support.waiting import PATIENCE_S


async def main(url: str, text: str) -> None:
    become_later_version()
    queue = JobQueue(connect_async(url), Settings())
    await queue.start()
    ticket = await queue.submit(EmbedJob(model="fake", inputs=(text,)), SubmitOptions())
    print(ticket.id, flush=True)
    result = await queue.wait(ticket.id, PATIENCE_S)
    assert isinstance(result, EmbedResult)
    print(result.vectors.hex(), flush=True)
    await queue.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
