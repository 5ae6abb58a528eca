"""Reading streams ahead for one caller."""

import asyncio

import pytest

from api.work.stream import MOST_READ_AHEAD, EventStream
from jobs.errors import JobError, ResultTimeout
from jobs.generate import Piece, Pieces
from tests.support.chat_requests import ScriptedQueue
from tests.support.waiting import turns, until, within

EVENT = Pieces(1, 0, (Piece(text="a"),))


@pytest.fixture
def queue() -> ScriptedQueue:
    return ScriptedQueue()


async def take(stream: EventStream) -> list[int] | None:
    """Numbers of the events."""
    async with asyncio.timeout(60):
        events = await stream.take()
    return None if events is None else [event.number for event in events]


async def test_events_come_in_order_and_then_the_end(queue: ScriptedQueue):
    async with EventStream(queue, ["j"], cancels=False) as stream:
        queue.script.put_nowait(EVENT)
        assert await take(stream) == [1]
        for item in (EVENT, EVENT, None):
            queue.script.put_nowait(item)
        assert await take(stream) == [2, 3]
        assert await take(stream) is None
        assert await take(stream) is None


async def test_an_error_comes_after_the_events_before_it(queue: ScriptedQueue):
    async with EventStream(queue, ["j"], cancels=False) as stream:
        queue.script.put_nowait(EVENT)
        queue.script.put_nowait(JobError("broken"))
        await stream.begin(10)
        assert await take(stream) == [1]
        with pytest.raises(JobError, match="broken"):
            await take(stream)


async def test_a_silent_stream_is_overdue_now_and_then(queue: ScriptedQueue):
    async with EventStream(queue, ["j"], cancels=False, keep_alive_s=0.02) as stream:
        for _ in range(3):
            assert await take(stream) == []
            assert stream.is_overdue
            stream.note_written()
        queue.script.put_nowait(EVENT)
        assert await take(stream) == [1]
        assert await take(stream) == []


async def test_events_that_the_caller_is_not_told_leave_it_overdue(queue: ScriptedQueue):
    async with EventStream(queue, ["j"], cancels=False, keep_alive_s=0.02) as stream:
        while not stream.is_overdue:
            queue.script.put_nowait(EVENT)
            assert await take(stream) != []
            await turns(1)


async def test_a_stream_without_a_start_ends_with_its_error(queue: ScriptedQueue):
    async with EventStream(queue, ["j"], cancels=False) as stream:
        stream.limit_start(0.01, ResultTimeout("too late"))
        with pytest.raises(ResultTimeout, match="too late"):
            await take(stream)


async def test_a_stream_that_has_started_may_take_longer(queue: ScriptedQueue):
    async with EventStream(queue, ["j"], cancels=True, keep_alive_s=0.02) as stream:
        queue.script.put_nowait(EVENT)
        await stream.begin(10)
        stream.limit_start(0.01, ResultTimeout())
        assert await take(stream) == [1]
        for _ in range(5):
            assert await take(stream) == []
            stream.note_written()


async def test_a_stream_does_not_begin_without_an_event(queue: ScriptedQueue):
    async with EventStream(queue, ["j"], cancels=False, keep_alive_s=0.01) as stream:
        with pytest.raises(ResultTimeout):
            await stream.begin(0.1)
        queue.script.put_nowait(EVENT)
        await stream.begin(10)
        assert await take(stream) == [1]


async def test_no_more_is_read_than_a_slow_caller_may_have_before_it(queue: ScriptedQueue):
    count = 3 * MOST_READ_AHEAD
    for _ in range(count):
        queue.script.put_nowait(EVENT)
    queue.script.put_nowait(None)
    async with EventStream(queue, ["j"], cancels=False) as stream:
        await stream.begin(10)
        await until(lambda: queue.script.qsize() == count + 1 - MOST_READ_AHEAD)
        await turns()
        assert queue.script.qsize() == count + 1 - MOST_READ_AHEAD
        found: list[int] = []
        while (numbers := await take(stream)) is not None:
            assert len(numbers) <= MOST_READ_AHEAD
            found += numbers
        assert found == list(range(1, count + 1))


async def test_a_closed_stream_leaves_nothing_behind(queue: ScriptedQueue):
    before = asyncio.all_tasks()
    stream = EventStream(queue, ["j", "k"], cancels=False)
    await within(queue.listening.wait())
    await stream.aclose()
    assert queue.left.is_set()
    assert asyncio.all_tasks() == before


async def test_one_job_that_fails_ends_the_reading_of_the_others():
    class Endless(ScriptedQueue):
        async def stream(self, job_id: str, after: int = 0):
            number = 0
            while True:
                number += 1
                await turns(1)
                if job_id == "bad" and number == 3:
                    raise JobError("broken")
                yield number, EVENT

    stream = EventStream(Endless(), ["good", "bad"], cancels=False)
    async with stream, asyncio.timeout(60):
        with pytest.raises(JobError, match="broken"):
            await read_slowly(stream)


async def read_slowly(stream: EventStream) -> None:
    """So slowly that there is always more."""
    while await stream.take() is not None:
        await turns(5)
