"""Tasks end when they are told to, whatever they wait in."""

import asyncio

import pytest
import redis.asyncio

from jobs.client import outcome_listener
from jobs.client.outcome_listener import OutcomeListener
from jobs.process import cancelling
from jobs.process.cancelling import cancel_and_wait
from jobs.store.connection import connect_async
from jobs.store.redis_server import RedisServer


async def test_a_task_that_loses_its_first_cancel_is_cancelled_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cancelling, "AGAIN_S", 0.01)

    async def deaf() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await cancel_and_wait(task)
    assert task.cancelled()


async def test_tasks_that_ended_in_an_error_are_no_error():
    async def broken() -> None:
        raise ValueError

    ended = asyncio.create_task(broken())
    await asyncio.sleep(0)
    await cancel_and_wait(ended, asyncio.create_task(asyncio.Event().wait()))
    assert isinstance(ended.exception(), ValueError)


async def test_a_command_to_redis_never_loses_a_cancel(redis_server: RedisServer):
    """Cancelled at any step of the event loop, also between the command's last byte and its reply."""
    client = connect_async(redis_server.url)

    async def ask() -> object:
        return await client.echo("lost")

    try:
        await client.ping()
        for steps in range(60):
            command = asyncio.create_task(ask())
            for _ in range(steps % 20):
                await asyncio.sleep(0)
            if command.cancel():
                await asyncio.wait([command])
                assert command.cancelled(), f"{steps % 20} steps after it was begun"
            # The reply that nobody read is not taken for the next command's.
            assert await client.echo("mine") == b"mine"
    finally:
        await client.aclose()


async def test_a_mailbox_closes_whenever_it_is_told_to(
    redis_async: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outcome_listener, "SAFETY_POLL_S", 0.001)
    monkeypatch.setattr(cancelling, "AGAIN_S", 3600)
    for n in range(40):
        box = OutcomeListener(redis_async)
        await box.start()
        futures = {str(job): box.expect(str(job)) for job in range(3)}
        await asyncio.sleep(0.0007 * n)
        async with asyncio.timeout(60):
            await box.aclose()
        for job_id, future in futures.items():
            box.forget(job_id, future)
