"""Tells the feeder of new work: it blocks on the queues' markers in Redis, in a thread of its own."""

import threading
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from workers.queue.client import Ledger
from workers.scheduling.in_flight import Hand

POLL_S = 1.0
"""Work that came without a marker (RQ's own tools, a lost marker) is found this often."""


class Bell:
    """Rings when one of the markers it listens for appears, and at the latest a poll interval after it began to."""

    def __init__(self, hand: Hand, ledger: Ledger, *, markers: int) -> None:
        """markers: how many there are in all; where it listens for fewer, room is what it waits for."""
        self._hand = hand
        self._ledger = ledger
        self._markers = markers
        self._heard: frozenset[str] | None = None  # the markers that Redis is asked for now
        self._interrupted = False
        self._listen = threading.Event()
        self._rang = False
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True
        self._listen.set()
        with self._hand.room:
            self._hand.room.notify_all()

    def wait(
        self, listen_for: Callable[[], list[str]], may_feed: Callable[[], bool], pause_s: Callable[[], float]
    ) -> None:
        """Until the bell rings, or there is room for work that is known of; looked at once in pause_s, and when it
        changes. Raises RedisError.
        """
        while True:
            with self._hand.room:
                if self._rang or self._stopping or may_feed():
                    self._rang = self._hand.short_of_room = False
                    return
                wanted = frozenset(listen_for())
                self._hand.short_of_room = len(wanted) < self._markers
                if not self._must_interrupt(wanted):
                    self._hand.room.wait(pause_s())
                    continue
            self._ledger.ring()

    def _must_interrupt(self, wanted: frozenset[str]) -> bool:
        """Start to listen for these markers; True if it listens already, and not for all of them."""
        if not wanted:
            return False
        if self._heard is None:
            self._heard = wanted
            self._listen.set()
            return False
        if wanted <= self._heard or self._interrupted:
            return False
        self._interrupted = True
        return True

    def run(self) -> None:
        while not self._stopping:
            self._listen.wait()
            self._listen.clear()
            try:
                if self._heard:
                    self._ledger.wait_for_work(sorted(self._heard), POLL_S)
            except RedisError:
                time.sleep(0.2)
            with self._hand.room:
                self._heard, self._interrupted, self._rang = None, False, True
                self._hand.room.notify_all()
