"""The collections, for one command."""

import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import NamedTuple

from ingest.qdrant.connect import check_store
from ingest.search.opened import opened_search
from ingest.search.service import CollectionSearch
from jobs.client.queue import JobQueue
from jobs.results.folder import results_folder
from jobs.settings import Settings
from jobs.store import outage
from jobs.store.connection import connect_async, own_folder, redis_url


class Connected(NamedTuple):
    """What a command asks."""

    collections: CollectionSearch
    queue: JobQueue


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncGenerator[CollectionSearch]:
    """Raises StoreUnavailable where no store runs. Where Redis is away, what needs a model raises QueueUnavailable."""
    async with connected_with_queue(settings) as found:
        yield found.collections


@contextlib.asynccontextmanager
async def connected_with_queue(settings: Settings) -> AsyncGenerator[Connected]:
    """The same for a command that also submits jobs of its own."""
    check_store(settings)
    logging.getLogger(outage.__name__).setLevel(logging.CRITICAL)  # the error that ends the command says it
    queue = JobQueue(
        connect_async(redis_url(settings)), settings, own_folder(settings), results_folder(settings)
    )
    await queue.start()
    try:
        async with opened_search(settings, queue) as found:
            yield Connected(found, queue)
    finally:
        await queue.aclose()
