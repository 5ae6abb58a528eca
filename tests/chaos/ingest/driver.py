"""An ingest whose processes are killed again and again, and begun again until it ends by itself."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from bench.ingest.corpus import write_corpus
from bench.ingest.noop_pages import page_vectors
from bench.ingest.site import IngestSite
from ingest.collections.layout import DEFAULT_COLLECTION, PATCHES, page_id, stored_name
from ingest.manifest.database import Database
from ingest.manifest.manifest import Manifest, manifest_path
from ingest.qdrant.connect import connect
from jobs.process.cancelling import cancel_and_wait
from jobs.settings import Settings
from tests.chaos.ingest.pages import PageRef, expected_pages
from tests.chaos.ingest.witness import Witness

Victim = Literal["ingest", "worker", "redis", "store"]
VICTIMS: tuple[Victim, ...] = ("ingest", "worker", "redis", "store")

POLL_S = 0.05
LONGEST_PAUSE_S = 0.5
AT_ONCE = 0.2
"""Chance that another process dies with the one that does."""

NOTHING_WAS_DONE = 1
"""Exit code of `mlxq ingest`."""

COMPARED = 20
"""Pages whose vectors are compared."""


class IngestReport(msgspec.Struct, frozen=True):
    """What became of the pages."""

    pages: int
    kills: dict[str, int]
    begun: int
    """How often the ingest was begun."""
    refused: int
    """How often it ended at once, because something that it needs was away."""
    computed: int
    """Pages that the embedder computed, again included."""
    missing: tuple[PageRef, ...] = ()
    strange: tuple[PageRef, ...] = ()
    """Points of no page, and pages with several points."""
    not_done: tuple[PageRef, ...] = ()
    """In the store, and not in the manifest."""
    embedded_twice: tuple[PageRef, ...] = ()
    """Though they had been acknowledged."""
    wrong: tuple[PageRef, ...] = ()
    """With the vectors of another page."""
    problems: tuple[str, ...] = ()
    """That the manifest has, and endings of the ingest that were no kill."""
    recomputed_at_end: int = 0
    """By an ingest of the unchanged folder after all."""

    @property
    def is_sound(self) -> bool:
        return not any(
            (
                self.missing,
                self.strange,
                self.not_done,
                self.embedded_twice,
                self.wrong,
                self.problems,
                self.recomputed_at_end,
            )
        )


class IngestDriver:
    """Kills come evenly over the pages, so that a slow machine has as many as a fast one."""

    def __init__(
        self, folder: Path, *, pages: int, kills: int, seed: int, say: Callable[[str], None]
    ) -> None:
        self._documents = write_corpus(folder / "documents", pages, only_text=True)
        self._settings = Settings(data=folder / "data")
        self._calls = folder / "calls"
        self._witness = Witness(self._settings, self._calls)
        self._site = IngestSite(self._settings, calls=self._calls)
        self._pages = pages
        self._planned = kills
        self._chance = random.Random(seed)
        self._say = say
        self._killed = Counter[str]()
        self._ingest: asyncio.subprocess.Process | None = None
        self._begun = self._refused = 0
        self._problems: list[str] = []

    async def run(self) -> IngestReport:
        """Takes some minutes for a thousand pages."""
        digests = await expected_pages(sorted(self._documents.iterdir()))
        self._say(f"{len(digests)} pages are known")
        async with self._site.running():
            killing = asyncio.create_task(self._kill())
            await self._until_ended()
            await cancel_and_wait(killing)
            if not killing.cancelled() and (error := killing.exception()):
                raise error
            computed = len(self._witness.calls())
            await self._until_ended()  # the last kill may have been the store's
            return self._report(digests, computed)

    async def _until_ended(self) -> None:
        while (code := await self._begin()) != 0:
            if code == NOTHING_WAS_DONE:  # it met a Redis or a store that was just away
                self._refused += 1
                await asyncio.sleep(LONGEST_PAUSE_S)
            elif code != -signal.SIGKILL:
                self._problems.append(f"the ingest ended with exit code {code}")
                if len(self._problems) > 3:
                    return

    async def _begin(self) -> int:
        self._begun += 1
        command = ("ingest", str(self._documents), "--visual", "--json")
        async with self._site.ingest(*command, module="cli.main") as self._ingest:
            assert self._ingest.stdout is not None
            while await self._ingest.stdout.readline():
                pass
            return await self._ingest.wait()

    async def _kill(self) -> None:
        for number in range(self._planned):
            due = (number + 1) * self._pages // (self._planned + 1)
            while len(await asyncio.to_thread(self._witness.in_manifest)) < due:
                await asyncio.sleep(POLL_S)
            if number < len(VICTIMS):  # at once: each dies, also where a short run is soon over
                victims: list[Victim] = [VICTIMS[number]]
            else:
                await asyncio.sleep(self._chance.uniform(0, LONGEST_PAUSE_S))
                victims = self._victims()
            self._say(f"kill {number + 1}: {' and '.join(victims)}")
            await asyncio.to_thread(self._witness.note)
            for victim in victims:
                await self._end(victim)

    def _victims(self) -> list[Victim]:
        return self._chance.sample(VICTIMS, 2 if self._chance.random() < AT_ONCE else 1)

    async def _end(self, victim: Victim) -> None:
        pid = None
        while pid is None:  # it may have just been started again
            pid = {
                "ingest": lambda: (
                    self._ingest.pid if self._ingest and self._ingest.returncode is None else None
                ),
                "worker": lambda: self._site.worker.pid,
                "redis": lambda: self._site.redis.pid if self._site.redis.running else None,
                "store": lambda: self._site.store.pid,
            }[victim]()
            await asyncio.sleep(POLL_S)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._killed[victim] += 1

    def _report(self, digests: dict[PageRef, str], computed: int) -> IngestReport:
        stored, done = Counter(self._witness.in_store()), set(self._witness.in_manifest())
        strange = [page for page, count in stored.items() if page not in digests or count > 1]
        database = Database(manifest_path(self._settings), read_only=True)
        problems = [f"{each.kind}: {each.message}" for each in Manifest(database).problems()]
        database.close()
        return IngestReport(
            pages=len(digests),
            kills=dict(self._killed),
            begun=self._begun,
            refused=self._refused,
            computed=computed,
            missing=tuple(sorted(digests.keys() - stored.keys())),
            strange=tuple(sorted(strange)),
            not_done=tuple(sorted(stored.keys() - done)),
            embedded_twice=tuple(self._witness.embedded_twice(digests)),
            wrong=tuple(self._wrong(digests)),
            problems=(*self._problems, *problems),
            recomputed_at_end=len(self._witness.calls()) - computed,
        )

    def _wrong(self, digests: dict[PageRef, str]) -> list[PageRef]:
        chosen = self._chance.sample(sorted(digests), min(COMPARED, len(digests)))
        client = connect(self._settings)
        name = stored_name(DEFAULT_COLLECTION, "visual")
        found: list[PageRef] = []
        for page in chosen:
            [point] = client.retrieve(name, [page_id(*page)], with_vectors=[PATCHES]) or [None]
            vectors = point.vector if point else None
            rows = np.array(vectors[PATCHES] if isinstance(vectors, dict) else [], dtype=np.float32)
            if not np.array_equal(rows, page_vectors(digests[page]).astype(np.float16).astype(np.float32)):
                found.append(page)
        client.close()
        return found
