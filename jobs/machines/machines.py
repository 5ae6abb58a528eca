"""What the API asks of the machines that models lie on: RedisMachines in service, MemoryMachines in tests."""

from typing import Protocol

from jobs.catalogue.details import ModelDetails


class Machines(Protocol):
    """Every method raises QueueUnavailable while Redis is away."""

    async def details(self, model: str) -> ModelDetails:
        """What a model's files say of it. model: its id. Empty where no worker has told it."""
        ...
