"""What the store does when nobody writes: it flushes, and gives back the room of dead points."""

import asyncio
import contextlib
import logging

from ingest.store.catalog import Catalog
from ingest.store.collection import Collection
from ingest.store.turns import WRITE, Turns
from ingest.store.upkeep.compaction import Compaction, Run

log = logging.getLogger(__name__)

IDLE_S = 20
"""Without a write."""

DEAD_SHARE, DEAD_POINTS = 0.2, 100
"""Of a collection's points, from which on it is compacted."""


class Upkeep:
    """Of one catalog."""

    def __init__(self, catalog: Catalog, turns: Turns) -> None:
        self._catalog = catalog
        self._turns = turns
        self._written = asyncio.Event()
        self._current: Compaction | None = None

    def wrote(self, collection: Collection, run: Run, body: bytes) -> None:
        """After each write, in the store's thread."""
        collection.wrote(len(body))
        if (current := self._current) is not None and current.collection is collection:
            current.wrote(run, body)

    def wake(self) -> None:
        """After a write, in the event loop."""
        self._written.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._until_idle()
            try:
                await self.once()
            except Exception:  # qdrant-edge raises nothing more exact
                log.exception("the upkeep of the vector store failed; it goes on after the next write")

    async def once(self) -> None:
        """All that is to be done now. A collection that is written to meanwhile may be left for the next time."""
        for name in await self._turns.run(self._flush, WRITE):
            compaction = await self._turns.run(lambda name=name: self._begin(name), WRITE)
            try:
                if await compaction.run(self._turns):
                    log.info("a collection is compacted", extra={"collection": name})
                else:
                    self._written.set()
            finally:
                self._current = None

    async def _until_idle(self) -> None:
        await self._written.wait()
        while self._written.is_set():
            self._written.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._written.wait()

    def _flush(self) -> list[str]:
        """All; and the names of those that are worth compacting."""
        worth_it: list[str] = []
        for collection in self._catalog.opened():
            collection.flush()
            dead, points = collection.dead_points(), collection.info().points_count
            if dead >= DEAD_POINTS and dead >= DEAD_SHARE * (dead + points):
                worth_it.append(collection.name)
        return worth_it

    def _begin(self, name: str) -> Compaction:
        collection = self._catalog.find(name)
        collection.flush()
        self._current = Compaction(self._catalog, collection)
        return self._current
