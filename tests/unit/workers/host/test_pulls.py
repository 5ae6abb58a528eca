"""Which pulls go on, which wait and which are refused."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

import fakeredis
import pytest

from jobs.errors import Overloaded
from jobs.machines.commands import CancelPull, Progress, PullModel, decode_progress
from jobs.store import keys
from tests.unit.workers.host.machine import until
from workers.host.progress import ProgressWriter
from workers.host.pull_process import CANCELLED, PullProcess
from workers.host.pulls import AT_ONCE, MAX_WAITING, WAITING, Pulls


class Process:
    """Goes on until it is let go."""

    def __init__(self, command: PullModel) -> None:
        self.command = command
        self.has_started = self.is_cancelled = False
        self.may_end = asyncio.Event()

    async def run(self) -> AsyncGenerator[Progress]:
        self.has_started = True
        yield Progress(status="pulling", completed=1)
        await self.may_end.wait()
        yield CANCELLED if self.is_cancelled else Progress(status="success")

    def cancel(self) -> None:
        self.is_cancelled = True  # and takes its time


class Machine:
    def __init__(self) -> None:
        server = fakeredis.FakeServer()
        self.redis = fakeredis.FakeRedis(server=server)
        self.processes: list[Process] = []
        self.pulls = Pulls(
            ProgressWriter(fakeredis.FakeAsyncRedis(server=server), "a"),
            self.process,
            lambda: asyncio.sleep(0),
        )

    def process(self, command: PullModel) -> PullProcess:
        self.processes.append(Process(command))
        return cast(PullProcess, self.processes[-1])

    async def begin(self, source: str) -> PullModel:
        command = PullModel(source=source)
        await self.pulls.follow(command)
        await asyncio.sleep(0.01)
        return command

    def said(self, command: PullModel) -> Progress:
        return decode_progress(cast(bytes, self.redis.get(keys.progress(command.id))))

    def started(self) -> list[str]:
        return [each.command.source for each in self.processes if each.has_started]


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    machine = Machine()
    yield machine
    await machine.pulls.aclose()


async def test_some_go_on_the_next_wait_and_more_are_refused(machine: Machine):
    commands = [await machine.begin(f"org/{number}") for number in range(AT_ONCE + MAX_WAITING)]
    assert machine.started() == ["org/0", "org/1"]
    assert machine.said(commands[2]).status == WAITING.status

    refused = machine.said(await machine.begin("org/more")).failure()
    assert isinstance(refused, Overloaded) and "18 pulls" in refused.message
    assert not machine.said(await machine.begin("org/2")).error  # follows one that waits

    machine.processes[0].may_end.set()
    await until(lambda: machine.said(commands[0]).status == "success")
    await until(lambda: machine.started() == ["org/0", "org/1", "org/2"])
    assert not machine.said(await machine.begin("org/more")).error


async def test_one_that_waits_is_cancelled_at_once(machine: Machine):
    commands = [await machine.begin(f"org/{number}") for number in range(AT_ONCE + 1)]

    await machine.pulls.cancel(CancelPull(command=commands[-1].id))

    assert machine.said(commands[-1]).error == CANCELLED.error
    for process in machine.processes:
        process.may_end.set()
    await until(lambda: machine.said(commands[1]).status == "success")
    assert machine.started() == ["org/0", "org/1"]


async def test_who_pulls_again_during_a_cancel_waits_for_its_end_and_pulls(machine: Machine):
    first = await machine.begin("org/x")
    await machine.pulls.cancel(CancelPull(command=first.id))
    second = await machine.begin("org/x")
    await machine.pulls.cancel(CancelPull(command=second.id))
    third = await machine.begin("org/x")
    assert [each.has_started for each in machine.processes] == [True, False, False]
    assert machine.said(second).error and not machine.said(third).error

    machine.processes[0].may_end.set()
    await until(lambda: machine.processes[2].has_started)
    assert machine.said(first).error == CANCELLED.error
    machine.processes[2].may_end.set()
    await until(lambda: machine.said(third).status == "success")
    assert not machine.processes[1].has_started


async def test_who_follows_one_is_told_at_once_how_far_it_is(machine: Machine):
    await machine.begin("org/x")

    assert machine.said(await machine.begin("org/x")).completed == 1
