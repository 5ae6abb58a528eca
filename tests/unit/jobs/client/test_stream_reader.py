"""What a reader of a stream holds, and how it finds what it could not hold."""

import asyncio
import contextlib
from typing import Any

from jobs.client.stream_reader import MOST_HELD, StreamReader, TokenEvent, follow_stream
from tests.support.waiting import turns, within


def event(number: int) -> TokenEvent:
    return TokenEvent(number, b"")


class Log:
    """A stream's log, and how much was read of it at once."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.reads: list[int] = []

    async def read(self, after: int) -> list[TokenEvent]:
        found = [event(number) for number in range(after + 1, self.last + 1)][:MOST_HELD]
        self.reads.append(len(found))
        return found


async def follow(reader: StreamReader, log: Log, ended: asyncio.Future[Any], after: int = 0) -> list[int]:
    async with contextlib.aclosing(follow_stream(reader, ended, log.read, after)) as events:
        return [each.number async for each in events]


def over() -> asyncio.Future[Any]:
    ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    ended.set_result(None)
    return ended


def held(reader: StreamReader) -> int:
    return len(reader._events)


async def test_a_reader_that_takes_nothing_holds_a_bounded_number_of_events():
    reader = StreamReader()
    for number in range(1, 10 * MOST_HELD):
        reader.put(event(number))
    assert held(reader) == MOST_HELD


async def test_what_a_slow_reader_could_not_hold_comes_from_the_log():
    reader, log = StreamReader(), Log(last=3 * MOST_HELD)
    for number in range(1, 2 * MOST_HELD):
        reader.put(event(number))
    assert await within(follow(reader, log, over())) == list(range(1, 3 * MOST_HELD + 1))


async def test_a_reader_that_caught_up_is_given_events_again():
    reader, log = StreamReader(), Log(last=2 * MOST_HELD)
    for number in range(1, 2 * MOST_HELD + 1):
        reader.put(event(number))
    ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    async with contextlib.aclosing(follow_stream(reader, ended, log.read, 0)) as events:
        for _ in range(2 * MOST_HELD):
            await within(anext(events))
        reads = len(log.reads)
        waiting = asyncio.create_task(anext(events))
        await turns()
        reader.put(event(2 * MOST_HELD + 1))
        assert (await within(waiting)).number == 2 * MOST_HELD + 1
    assert len(log.reads) <= reads + 1


async def test_a_long_log_is_read_in_pieces():
    log = Log(last=3 * MOST_HELD + 5)
    assert await within(follow(StreamReader(), log, over(), after=2)) == list(range(3, 3 * MOST_HELD + 6))
    assert max(log.reads) == MOST_HELD
