"""What is asked of a machine in these tests."""

import asyncio

from jobs.machines.commands import Command, Progress
from jobs.machines.machines import carried_out
from jobs.machines.redis import RedisMachines
from workers.host.agent import Agent


async def until(holds: object) -> None:
    async with asyncio.timeout(10):
        while not holds():  # pyright: ignore
            await asyncio.sleep(0.01)


async def told(machines: RedisMachines, agent: Agent, command: Command) -> Progress:
    async with asyncio.timeout(20):
        return await carried_out(machines, agent.machine, command)
