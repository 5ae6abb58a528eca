"""Whether a thread still moves: what leases and the sign of life depend on."""

import threading
import time


class Progress:
    """Set by the thread around each call that may hang, read by the pulse."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadline = float("inf")

    def begin(self, allowance_s: float) -> None:
        """A call starts; it is hung if it takes longer than this."""
        with self._lock:
            self._deadline = time.monotonic() + allowance_s

    def end(self) -> None:
        with self._lock:
            self._deadline = float("inf")

    def forgive(self, seconds: float) -> None:
        """The whole process slept (SIGSTOP, a closed lid): not the thread's fault."""
        with self._lock:
            self._deadline += seconds

    @property
    def stalled(self) -> bool:
        return time.monotonic() > self._deadline
