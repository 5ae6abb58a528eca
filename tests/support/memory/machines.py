"""Machines without Redis, for tests."""

from jobs.catalogue.details import ModelDetails
from jobs.errors import JobError


class MemoryMachines:
    """A jobs.machines.machines.Machines. refusal: the error of every call, as if Redis were away."""

    def __init__(self) -> None:
        self.refusal: JobError | None = None
        self.details_of: dict[str, ModelDetails] = {}

    async def details(self, model: str) -> ModelDetails:
        if self.refusal:
            raise self.refusal
        return self.details_of.get(model, ModelDetails())
