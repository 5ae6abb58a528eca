"""Who is busy does not take others for silent."""

import asyncio
import time

import pytest

from jobs.process.free_time import free_timeout
from tests.support.waiting import forever


async def test_what_takes_longer_than_the_limit_is_ended():
    with pytest.raises(TimeoutError):
        async with free_timeout(0.2):
            await forever()


async def test_time_in_which_the_event_loop_was_held_up_does_not_count():
    arrives = asyncio.get_running_loop().create_future()

    async def hold_up() -> None:
        for _ in range(4):
            time.sleep(0.3)
            await asyncio.sleep(0)
        arrives.set_result("it was there")

    async with free_timeout(1.0):
        holding = asyncio.create_task(hold_up())
        assert await arrives == "it was there"
    await holding
