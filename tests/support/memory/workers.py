"""Workers without Redis, for tests."""

from collections.abc import Callable

from jobs.models import LoadedModel


class MemoryOfWorkers:
    """A jobs.commands.worker_memory.WorkerMemory. told: which models it was told to unload."""

    def __init__(self, loaded: Callable[[], dict[str, LoadedModel]]) -> None:
        """loaded: what is in memory; what is unloaded is taken out of it."""
        self.told: list[str] = []
        self._loaded = loaded

    async def unload(self, model: str) -> None:
        self.told.append(model)
        self._loaded().pop(model, None)
