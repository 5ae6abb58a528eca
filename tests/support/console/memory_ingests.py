"""Ingests that only exist in memory."""

import time

from jobs.ingests.ingests import FolderNotAllowed, NewIngest
from jobs.ingests.problem import IngestProblem
from jobs.ingests.run import IngestRun, RunProgress


class MemoryIngests:
    """begun, retried: what was asked for."""

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        self.allowed = allowed
        self.known: list[IngestRun] = []
        self.problems_of: dict[str, tuple[IngestProblem, ...]] = {}
        self.begun: list[NewIngest] = []
        self.retried: list[str] = []

    def folders(self) -> tuple[str, ...]:
        return self.allowed

    async def runs(self, limit: int) -> tuple[IngestRun, ...]:
        return tuple(self.known[:limit])

    async def problems(self, collection: str) -> tuple[IngestProblem, ...]:
        return self.problems_of.get(collection, ())

    async def begin(self, wanted: NewIngest) -> None:
        if not any(wanted.folder == each or wanted.folder.startswith(f"{each}/") for each in self.allowed):
            raise FolderNotAllowed(param="folder")
        self.begun.append(wanted)
        self.known.insert(0, self.run(wanted.collection, f"mlxq ingest {wanted.folder}"))

    async def retry(self, collection: str) -> None:
        self.retried.append(collection)

    def run(self, collection: str, request: str, progress: RunProgress | None = None) -> IngestRun:
        """One that runs since twenty seconds."""
        return IngestRun(
            len(self.known) + 1,
            collection,
            request,
            time.time() - 20,
            None,
            "running",
            progress or RunProgress(),
        )
