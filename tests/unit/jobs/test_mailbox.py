"""What ends a wait when no message comes, or a strange one, on fakeredis."""

import asyncio
from collections.abc import AsyncIterator

import fakeredis
import pytest

from jobs import keys, mailbox, record
from jobs.mailbox import MISSING, Mailbox


@pytest.fixture
def redis() -> fakeredis.FakeAsyncRedis:
    return fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())


@pytest.fixture
async def box(redis: fakeredis.FakeAsyncRedis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mailbox]:
    monkeypatch.setattr(mailbox, "SAFETY_POLL_S", 0.02)
    box = Mailbox(redis)
    await box.start()
    yield box
    await box.aclose()


async def mail(future: asyncio.Future[mailbox.Mail]) -> mailbox.Mail:
    async with asyncio.timeout(60):
        return await future


async def test_a_job_that_vanished_is_told_missing_but_one_on_its_way_is_not(box: Mailbox):
    on_its_way, vanished = box.expect("on its way"), box.expect("vanished")
    box.admitted("vanished")
    assert await mail(vanished) == (MISSING, None)
    assert not on_its_way.done()


async def test_a_record_that_is_no_hash_is_missing_and_hides_no_other(
    box: Mailbox, redis: fakeredis.FakeAsyncRedis
):
    await redis.set(keys.job("broken"), "not a hash")
    await redis.hset(keys.job("good"), "status", "finished")  # pyright: ignore[reportGeneralTypeIssues]
    broken, good = box.expect("broken"), box.expect("good")
    box.admitted("broken")
    assert await mail(good) == ("finished", None)
    assert await mail(broken) == (MISSING, None)


async def test_an_unreadable_message_does_not_stop_the_next_one(
    redis: fakeredis.FakeAsyncRedis, caplog: pytest.LogCaptureFixture
):
    box = Mailbox(redis)
    await box.start()
    future = box.expect("id")
    async with asyncio.timeout(60):
        while not await redis.publish(box.channel, b"\xc1garbage"):
            await asyncio.sleep(0.01)
        while "unreadable message" not in caplog.text:
            await asyncio.sleep(0.01)
    await redis.publish(box.channel, record.pack([("id", "failed", b"why")]))
    assert await mail(future) == ("failed", b"why")
    await box.aclose()


async def test_a_look_up_that_fails_in_a_new_way_is_tried_again(
    redis: fakeredis.FakeAsyncRedis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    class FailsOnce(Mailbox):
        failed = False

        async def _look_up(self) -> None:
            if not self.failed:
                self.failed = True
                raise ZeroDivisionError
            await super()._look_up()

    monkeypatch.setattr(mailbox, "SAFETY_POLL_S", 0.02)
    box = FailsOnce(redis)
    await box.start()
    await redis.hset(keys.job("id"), "status", "finished")  # pyright: ignore[reportGeneralTypeIssues]
    assert await mail(box.expect("id")) == ("finished", None)
    assert "ZeroDivisionError" in caplog.text
    await box.aclose()
