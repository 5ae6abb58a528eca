"""Machines without Redis, for tests."""

import asyncio
from collections.abc import AsyncGenerator

from jobs.catalogue.details import ModelDetails
from jobs.errors import JobError
from jobs.machines.commands import Command, Progress
from jobs.machines.machines import MachineInfo


class MemoryMachines:
    """A jobs.machines.machines.Machines.

    models: those that its one machine has. refusal: the error of every call, as if Redis were away. infos: the live
    machines. answers: what every command comes to; answers_of: on one machine. goes_on: after these there is no end.
    """

    def __init__(self, models: tuple[str, ...] = ()) -> None:
        self.refusal: JobError | None = None
        self.details_of: dict[str, ModelDetails] = {}
        self.infos = [MachineInfo("memory", 0.0, models)]
        self.answers: tuple[Progress, ...] = (Progress(status="success"),)
        self.answers_of: dict[str, tuple[Progress, ...]] = {}
        self.goes_on = False
        self.sent: list[tuple[str, Command]] = []

    async def details(self, model: str) -> ModelDetails:
        self._check()
        return self.details_of.get(model, ModelDetails())

    async def live(self) -> tuple[MachineInfo, ...]:
        self._check()
        return tuple(self.infos)

    async def send(self, machine: str, command: Command) -> None:
        self._check()
        self.sent.append((machine, command))

    async def follow(self, machine: str, command_id: str) -> AsyncGenerator[Progress]:
        self._check()
        assert any(name == machine and command.id == command_id for name, command in self.sent)
        for answer in self.answers_of.get(machine, self.answers):
            yield answer
        if self.goes_on:
            await asyncio.Event().wait()

    def _check(self) -> None:
        if self.refusal:
            raise self.refusal
