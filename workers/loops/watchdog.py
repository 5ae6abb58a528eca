"""Notices that a call does not return."""

import threading
import time


class Watchdog:
    """The device's thread notes each call that may hang. The main thread asks whether one does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadline = float("inf")

    def begin(self, allowance_s: float) -> None:
        """A call starts; it hangs if it takes longer than this."""
        with self._lock:
            self._deadline = time.monotonic() + allowance_s

    def end(self) -> None:
        """The call has returned."""
        with self._lock:
            self._deadline = float("inf")

    def extend(self, seconds: float) -> None:
        """The whole process slept (SIGSTOP, a closed lid): the call gets that time back."""
        with self._lock:
            self._deadline += seconds

    @property
    def is_expired(self) -> bool:
        """Whether a call hangs."""
        return time.monotonic() > self._deadline
