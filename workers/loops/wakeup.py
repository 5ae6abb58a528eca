"""Wakes the claim loop when there is new work: a thread blocks on the queues' markers in Redis."""

import threading
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from workers.queue.client import WorkerQueue
from workers.scheduling.in_flight import InFlight

POLL_S = 1.0
"""Work that came without a marker (RQ's own tools, a lost marker) is found this often."""


class WakeupListener:
    """`run` belongs to a thread of its own, `wait` to the claim loop's. What they share is guarded by InFlight's lock.

    The thread listens only when it is asked to, for one marker to appear or for POLL_S.
    """

    def __init__(self, in_flight: InFlight, queue: WorkerQueue, markers: Callable[[], int]) -> None:
        """markers: how many there are in all. Where it listens for fewer, the claim loop awaits capacity."""
        self._in_flight = in_flight
        self._queue = queue
        self._markers = markers
        self._listens_for: frozenset[str] | None = None
        """Markers that Redis is asked for now. None: it does not listen."""
        self._is_interrupted = False
        self._listen = threading.Event()
        self._has_woken = False
        self._stopping = False

    def stop(self) -> None:
        """End both threads' waiting."""
        self._stopping = True
        self._listen.set()
        self._in_flight.wake_claim_loop()

    def run(self) -> None:
        while not self._stopping:
            self._listen.wait()
            self._listen.clear()
            try:
                if self._listens_for:
                    self._queue.wait_for_work(sorted(self._listens_for), POLL_S)
            except RedisError:
                time.sleep(0.2)
            with self._in_flight.lock:
                self._listens_for, self._is_interrupted, self._has_woken = None, False, True
                self._in_flight.wake_claim_loop()

    def wait(
        self,
        listen_for: Callable[[], list[str]],
        may_claim: Callable[[], bool],
        poll_s: Callable[[], float],
    ) -> None:
        """Until a marker appears, listening times out, or may_claim is true. Raises RedisError.

        All three are asked again whenever capacity changes, and after poll_s. listen_for: the markers worth waking for.
        """
        while True:
            with self._in_flight.lock:
                if self._has_woken or self._stopping or may_claim():
                    self._has_woken = False
                    return
                wanted = frozenset(listen_for())
                if not self._must_interrupt(wanted):
                    self._in_flight.wait_for_capacity(poll_s(), is_awaited=len(wanted) < self._markers())
                    continue
            self._queue.interrupt_wait()

    def _must_interrupt(self, wanted: frozenset[str]) -> bool:
        """Start to listen for these markers; True if it listens already, and not for all of them."""
        if not wanted:
            return False
        if self._listens_for is None:
            self._listens_for = wanted
            self._listen.set()
            return False
        if wanted <= self._listens_for or self._is_interrupted:
            return False
        self._is_interrupted = True
        return True
