"""What an ingest needs of others: the workers' queue and the store. Opened when first needed, for an ingest that finds
nothing new needs neither.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from cli.cannot_do import CannotDo
from cli.ingest.wiring.choose import choose_models
from cli.ingest.wiring.served import served_models
from jobs.client.queue import JobQueue
from jobs.models import ModelInfo
from jobs.results.folder import results_folder
from jobs.search.errors import StoreUnavailable
from jobs.settings import Settings
from jobs.store.connection import connect_async, own_folder, redis_url

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

    from ingest.collections.collections import Collections
    from ingest.collections.generations import Generations
    from ingest.collections.layout import Kind
    from ingest.qdrant.bulk import BulkWriter


class Engine:
    """An asynchronous context."""

    def __init__(self, settings: Settings, note: Callable[[str], None]) -> None:
        """note: told what is waited for."""
        self.settings = settings
        self._note = note
        self._opened = AsyncExitStack()
        self._queue: JobQueue | None = None
        self._store: tuple[QdrantClient, BulkWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def queue(self) -> JobQueue:
        """It listens for outcomes."""
        if self._queue is None:
            self._queue = JobQueue(
                connect_async(redis_url(self.settings)),
                self.settings,
                own_folder(self.settings),
                results_folder(self.settings),
            )
            self._opened.push_async_callback(self._queue.aclose)
            await self._queue.start()
        return self._queue

    def collections(self, made: "Mapping[Kind, str] | None" = None) -> "Collections":
        """From any thread, one at a time. made: see Collections. Raises: CannotDo."""
        from ingest.collections.collections import Collections

        return Collections(*self._opened_store(), made)

    def generations(self) -> "Generations":
        """From any thread, one at a time. Raises: CannotDo."""
        from ingest.collections.generations import Generations

        return Generations(self._opened_store()[0])

    def _opened_store(self) -> "tuple[QdrantClient, BulkWriter]":
        if self._store is None:
            from ingest.qdrant.connect import connect
            from ingest.qdrant.writers import bulk_writer

            try:
                client = connect(self.settings)
            except StoreUnavailable as error:
                raise CannotDo(error.message) from error
            writer = bulk_writer(self.settings)
            self._opened.callback(client.close)
            self._opened.callback(writer.close)
            self._store = client, writer
        return self._store

    async def models(
        self, kinds: Sequence[str], named: Sequence[str], collection: str | None = None
    ) -> dict[str, ModelInfo]:
        """By kind: see choose_models. collection: that has some already. Raises: CannotDo."""
        served = await served_models(self.settings, self._note)
        used = {} if collection is None else self._used(collection, kinds)
        return choose_models(served, kinds, named, used)

    def _used(self, collection: str, kinds: Sequence[str]) -> dict[str, str]:
        found = dict[str, str]()
        for kind in ("visual", "text"):
            there = self.collections().fingerprint(collection, kind) if kind in kinds else None
            if there is not None:
                found[kind] = there.digest or there.model
        return found
