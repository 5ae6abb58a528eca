"""What the API asks of the machines that models lie on: RedisMachines in service, MemoryMachines in tests."""

import hashlib
import os
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

import msgspec

from jobs.catalogue.details import ModelDetails
from jobs.catalogue.entry import CatalogueEntry
from jobs.machines.commands import Command, Progress


class MachineInfo(msgspec.Struct, frozen=True):
    """What a machine says about itself, every few seconds."""

    id: str
    seen_at: float
    """In seconds since the epoch, by Redis's clock."""
    settings_models: tuple[str, ...] = ()
    """The models that its MLXQ_MODELS names, by their ids. They are no entries."""
    entries: tuple[CatalogueEntry, ...] = ()
    """Of its catalogue."""
    agent: str = ""
    """The id of its agent, which is another one after each start."""
    has_left: bool = False
    """It was stopped, and cannot be told anything. What it said of its models holds."""


class Machines(Protocol):
    """Every method raises QueueUnavailable while Redis is away."""

    async def details(self, model: str) -> ModelDetails:
        """What a model's files say of it. model: its id. Empty where no worker has told it."""
        ...

    async def live(self) -> tuple[MachineInfo, ...]:
        """Those that can be told something now."""
        ...

    async def send(self, machine: str, command: Command) -> None:
        """Tell a machine to do something. It does one after the other, but for pulls, which go on beside the rest."""
        ...

    def follow(self, machine: str, command_id: str) -> AsyncGenerator[Progress]:
        """The progress of a command, as it changes, up to its end.

        Raises QueueUnavailable where the machine does not answer any more.
        """
        ...


def machine_id(data: Path) -> str:
    """Of this machine with this data folder."""
    folder = hashlib.sha256(os.fsencode(data.absolute())).hexdigest()
    return f"{socket.gethostname()}.{folder[:8]}"


async def carried_out(machines: Machines, machine: str, command: Command) -> Progress:
    """Tell a machine to do something, and wait for its end. Raises the error that it ends with, QueueUnavailable."""
    await machines.send(machine, command)
    last = Progress()
    async for progress in machines.follow(machine, command.id):
        last = progress
    if last.error:
        raise last.failure()
    return last
