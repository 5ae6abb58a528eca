"""Waiting for what passes: a full queue, a Redis, a worker or a store that is away."""

import asyncio
import logging
import time

from ingest.pipeline.progress import Progress

log = logging.getLogger(__name__)

LONGEST_S = 5.0
"""Between two tries, whatever was asked for: whoever watches wants to see it go on."""

FORGOTTEN_S = 30.0
"""What is waited for again after so long is told again."""


class PipelineStopped(Exception):
    """The run cannot go on; the message says why, and what to do."""


class Waits:
    """One per run."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told: dict[str, float] = {}

    async def pause(self, why: str, seconds: float = 1.0) -> None:
        """Before another try. why: a sentence for people, in which nothing changes from one try to the next."""
        now = time.monotonic()
        if now > self._told.get(why, float("-inf")) + FORGOTTEN_S:
            log.warning("ingest waits: %s", why)
        self._told[why] = now
        with self._progress.waiting(why):
            await asyncio.sleep(min(seconds, LONGEST_S))
