"""Workers without Redis, for tests."""

from collections.abc import Callable, Sequence

from jobs.models import LoadedModel
from jobs.stats import WorkerStats


class MemoryOfWorkers:
    """A jobs.commands.worker_memory.WorkerMemory. told: which models it was told to unload."""

    def __init__(
        self, live: Callable[[], Sequence[WorkerStats]], loaded: Callable[[], dict[str, LoadedModel]]
    ) -> None:
        """loaded: what is in memory; what is unloaded is taken out of it."""
        self.told: list[str] = []
        self._live = live
        self._loaded = loaded

    async def workers(self) -> Sequence[WorkerStats]:
        return self._live()

    async def unload(self, model: str) -> None:
        self.told.append(model)
        self._loaded().pop(model, None)
