"""What a reader of a stream holds, and how it finds what it could not hold."""

import asyncio
import contextlib
from typing import Any

import pytest

from jobs.client.stream_reader import LOG_TRIES, MOST_HELD, StreamReader, TokenEvent, follow_stream
from jobs.errors import QueueUnavailable
from tests.support.waiting import turns, within


def event(number: int) -> TokenEvent:
    return TokenEvent(number, b"")


class Log:
    """A stream's log, and how much was read of it at once."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.reads: list[int] = []

    async def read(self, after: int) -> list[TokenEvent] | None:
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


class LogOutOfReach(Log):
    """Redis is away for so many reads."""

    def __init__(self, last: int, away: int, reader: StreamReader) -> None:
        super().__init__(last)
        self._away = away
        self._reader = reader

    async def read(self, after: int) -> list[TokenEvent] | None:
        if self._away:
            self._away -= 1
            self._reader.wake()  # instead of waiting a second
            return None
        return await super().read(after)


async def test_a_stream_whose_job_has_ended_waits_for_its_log_while_redis_is_away():
    reader = StreamReader()
    log = LogOutOfReach(last=3, away=2, reader=reader)
    assert await within(follow(reader, log, over())) == [1, 2, 3]


async def test_a_stream_whose_log_stays_out_of_reach_ends_with_an_error_and_not_as_if_it_were_whole():
    reader = StreamReader()
    log = LogOutOfReach(last=3, away=LOG_TRIES, reader=reader)
    with pytest.raises(QueueUnavailable):
        await within(follow(reader, log, over()))
