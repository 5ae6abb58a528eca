"""What ends a wait when no message comes, or a strange one, on fakeredis."""

import asyncio
from collections.abc import AsyncIterator

import fakeredis
import pytest

from jobs.client import outcome_listener
from jobs.client.outcome_listener import MISSING, OutcomeListener
from jobs.store import keys, record
from tests.support.waiting import until, until_async


@pytest.fixture
def redis() -> fakeredis.FakeAsyncRedis:
    return fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())


@pytest.fixture
async def listener(
    redis: fakeredis.FakeAsyncRedis, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OutcomeListener]:
    monkeypatch.setattr(outcome_listener, "SAFETY_POLL_S", 0.02)
    listener = OutcomeListener(redis)
    await listener.start()
    yield listener
    await listener.aclose()


async def outcome(future: asyncio.Future[outcome_listener.JobOutcome]) -> outcome_listener.JobOutcome:
    async with asyncio.timeout(60):
        return await future


async def test_a_job_that_vanished_is_told_missing_but_one_on_its_way_is_not(listener: OutcomeListener):
    on_its_way, vanished = listener.expect("on its way"), listener.expect("vanished")
    listener.admitted("vanished")
    assert await outcome(vanished) == (MISSING, None)
    assert not on_its_way.done()


async def test_a_record_that_is_no_hash_is_missing_and_hides_no_other(
    listener: OutcomeListener, redis: fakeredis.FakeAsyncRedis
):
    await redis.set(keys.job("broken"), "not a hash")
    await redis.hset(keys.job("good"), "status", "finished")  # pyright: ignore[reportGeneralTypeIssues]
    broken, good = listener.expect("broken"), listener.expect("good")
    listener.admitted("broken")
    assert await outcome(good) == ("finished", None)
    assert await outcome(broken) == (MISSING, None)


async def test_an_unreadable_message_does_not_stop_the_next_one(
    redis: fakeredis.FakeAsyncRedis, caplog: pytest.LogCaptureFixture
):
    listener = OutcomeListener(redis)
    await listener.start()
    future = listener.expect("id")
    await until_async(lambda: redis.publish(listener.channel, b"\xc1garbage"))
    await until(lambda: "message on the reply channel is unreadable" in caplog.text)
    await redis.publish(listener.channel, record.pack([("id", "failed", b"why")]))
    assert await outcome(future) == ("failed", b"why")
    await listener.aclose()


async def test_a_look_up_that_fails_in_a_new_way_is_tried_again(
    redis: fakeredis.FakeAsyncRedis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    class FailsOnce(OutcomeListener):
        failed = False

        async def _look_up(self) -> None:
            if not self.failed:
                self.failed = True
                raise ZeroDivisionError
            await super()._look_up()

    monkeypatch.setattr(outcome_listener, "SAFETY_POLL_S", 0.02)
    listener = FailsOnce(redis)
    await listener.start()
    await redis.hset(keys.job("id"), "status", "finished")  # pyright: ignore[reportGeneralTypeIssues]
    assert await outcome(listener.expect("id")) == ("finished", None)
    assert "ZeroDivisionError" in caplog.text
    await listener.aclose()
