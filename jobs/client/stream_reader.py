"""The events of one stream as they are published to this process. What was missed is read from the stream's log."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from jobs.errors import QueueUnavailable
from jobs.generate import Pieces

decode_pieces = msgspec.msgpack.Decoder(Pieces).decode


SAFETY_POLL_S = 1.0
"""Pub/sub delivers at most once, so outcomes and streams' logs are also read this often where nothing is published."""


MOST_HELD = 256
"""Events that wait for a reader, and that are read from the log at once. A slow reader finds the others in the log."""


LOG_TRIES = 10
"""So often the log of an ended stream is tried to be read while Redis is away, a second apart."""


class TokenEvent(NamedTuple):
    """One event of a stream, not decoded yet."""

    number: int
    """From 1 on, without gaps."""
    body: bytes
    """Msgpack of Pieces."""

    def read(self) -> tuple[int, Pieces]:
        """The number, and the decoded body."""
        return self.number, decode_pieces(self.body)


def parse_event(message: bytes) -> TokenEvent:
    """Reads what EMIT publishes: the number, a space, the body."""
    number, _, body = message.partition(b" ")
    return TokenEvent(int(number), body)


class StreamReader:
    """The events that one reader has not read yet."""

    def __init__(self) -> None:
        self._events: deque[TokenEvent] = deque()
        self._dropped = False
        self._changed = asyncio.Event()

    def put(self, event: TokenEvent) -> None:
        """An event was published. It is dropped where MOST_HELD are there."""
        if self._dropped or len(self._events) >= MOST_HELD:
            self._dropped = True  # and all that follow, until those that are here have been taken
        else:
            self._events.append(event)
        self._changed.set()

    def wake(self) -> None:
        """The job has ended, or nobody may wait any more."""
        self._changed.set()

    def take(self, after: int) -> tuple[list[TokenEvent], bool]:
        """(the events that follow number `after` without a gap, whether others were published that are not here)."""
        self._changed.clear()
        found: list[TokenEvent] = []
        while self._events and self._events[0].number <= after + len(found) + 1:
            event = self._events.popleft()
            if event.number == after + len(found) + 1:
                found.append(event)
        is_gap = self._dropped or bool(self._events)
        if not found:
            self._dropped = False  # the caller reads the log now, where they are
        return found, is_gap

    async def wait(self, timeout_s: float) -> bool:
        """Whether an event was published, or the job has ended, in that time."""
        if self._changed.is_set():
            return True
        timer = asyncio.get_running_loop().call_later(timeout_s, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
        return bool(self._events)


async def follow_stream(
    reader: StreamReader,
    ended: asyncio.Future[Any],
    read_log: Callable[[int], Awaitable[list[TokenEvent] | None]],
    after: int,
) -> AsyncGenerator[TokenEvent]:
    """The events after that number, in order: as they are published, and from the log those that were missed. Ends when
    the job has ended and all events are read. read_log: gives at most MOST_HELD events after a number, None while Redis
    is away.

    Raises: QueueUnavailable where Redis stays away after the job's end: nobody knows what is missing.
    """
    behind = True
    tries = 0
    while True:
        over = ended.done()  # asked before the events are taken, so that none from before the end is missed
        events, gap = reader.take(after)
        found = events
        if not events and (behind or gap or over):
            found = await read_log(after)
            tries = tries + 1 if over and found is None else 0
        for event in found or ():
            yield event
            after = event.number
        if found:
            behind = len(found) >= MOST_HELD
        elif over and found is not None:
            return
        elif tries >= LOG_TRIES:
            raise QueueUnavailable
        else:
            behind = not await reader.wait(SAFETY_POLL_S)
