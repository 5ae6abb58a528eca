"""Compacting: one collection is rewritten without its dead points, while searches and writes go on.

qdrant-edge's own optimizer would keep both waiting, for it holds Python's lock. So another process compacts a copy of
the shard; writes that come meanwhile are done again in the new shard before it takes the old one's place.
"""

import asyncio
import shutil
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from ingest.store.catalog import Catalog
from ingest.store.collection import Collection
from ingest.store.turns import WRITE, Turns
from ingest.store.upkeep.compact import COPIED

MAX_REPEATED_BYTES = 16 << 20
"""Of the writes that came meanwhile. To do them again takes the store about a second; with more, it is given up."""

Run = Callable[[Collection, bytes], Any]


class _Write(NamedTuple):
    run: Run
    body: bytes


class Compaction:
    """Of one collection, which was flushed. Made in the store's thread, so that no write comes before it is known."""

    def __init__(self, catalog: Catalog, collection: Collection) -> None:
        self.collection = collection
        self._catalog = catalog
        self._target = collection.folder / collection.next_shard
        self._is_copied = False
        self._is_spoiled = False
        self._writes: list[_Write] = []

    def wrote(self, run: Run, body: bytes) -> None:
        """In the store's thread: something that the copy lacks. A copy that is not complete yet is spoilt by it."""
        self._writes.append(_Write(run, body))
        size = sum(len(each.body) for each in self._writes)
        if not self._is_copied or size > MAX_REPEATED_BYTES:
            self._is_spoiled = True

    async def run(self, turns: Turns) -> bool:
        """Whether the new shard is in its place. If not, nothing has changed."""
        is_taken = False
        try:
            await self._rewrite()
            is_taken = await turns.run(self._take, WRITE)
        finally:
            if not is_taken:
                await asyncio.to_thread(shutil.rmtree, self._target, ignore_errors=True)
        return is_taken

    async def _rewrite(self) -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "ingest.store.upkeep.compact",
            str(self.collection.folder), self.collection.shard_name, self._target.name,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout is not None
        try:
            self._is_copied = await child.stdout.readline() == COPIED
            if await child.wait():
                raise RuntimeError(
                    f"compacting a copy of {self.collection.name!r} ended with {child.returncode}"
                )
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    def _take(self) -> bool:
        if self._is_spoiled or not self._catalog.is_open(self.collection):
            return False
        fresh = self.collection.reopened(self._target.name)
        try:
            for each in self._writes:
                each.run(fresh, each.body)
            self._catalog.replace(self.collection, fresh)
        except BaseException:
            fresh.close()
            raise
        return True
