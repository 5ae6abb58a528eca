"""The events of one stream as they are told to this process; what was not heard is read from the log."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from jobs.generate import Pieces

Numbered = tuple[int, Pieces]

decode_pieces = msgspec.msgpack.Decoder(Pieces).decode


SAFETY_POLL_S = 1.0
"""Pub/sub is at most once: outcomes and streams' logs are looked at this often by whoever hears nothing."""


class Event(NamedTuple):
    """number: from 1 on, without gaps. body: msgpack of Pieces."""

    number: int
    body: bytes

    def read(self) -> Numbered:
        """(number, decoded Pieces). Raises: msgspec.DecodeError."""
        return self.number, decode_pieces(self.body)


def parse_event(body: bytes) -> Event:
    """What EMIT tells: the number, a space, the body."""
    number, _, rest = body.partition(b" ")
    return Event(int(number), rest)


class StreamReader:
    """What one reader has not read yet."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()

    def put(self, event: Event) -> None:
        """Appends an event as it was heard, and wakes whoever waits."""
        self._events.append(event)
        self._news.set()

    def nudge(self) -> None:
        """The job has ended."""
        self._news.set()

    def take(self, after: int) -> tuple[list[Event], bool]:
        """(the events that follow number `after` without a gap, whether there is one behind them)."""
        self._news.clear()
        found: list[Event] = []
        while self._events and self._events[0].number <= after + len(found) + 1:
            event = self._events.popleft()
            if event.number == after + len(found) + 1:
                found.append(event)
        return found, bool(self._events)

    async def wait(self, timeout_s: float) -> bool:
        """Whether there is news in that time."""
        if self._news.is_set():
            return True
        timer = asyncio.get_running_loop().call_later(timeout_s, self._news.set)
        try:
            await self._news.wait()
        finally:
            timer.cancel()
        return bool(self._events)


async def unheard_too(
    reader: StreamReader,
    ended: asyncio.Future[Any],
    read_log: Callable[[int], Awaitable[list[Event]]],
    after: int,
) -> AsyncGenerator[Event]:
    """The events after that number: as they are told, and from the log what was not heard, until the job has ended
    and all is read. read_log: gives the events after a number.
    """
    behind = True
    while True:
        over = ended.done()  # asked before looking: what came before the end is found
        events, gap = reader.take(after)
        if not events and (behind or gap or over):
            events = await read_log(after)
        for event in events:
            yield event
            after = event.number
        if events:
            behind = False
        elif over:
            return
        else:
            behind = not await reader.wait(SAFETY_POLL_S)
