"""Whether the device loop still moves: what leases and the sign of life depend on."""

import time


class Progress:
    """Set by the device thread around each device call, read by the pulse."""

    def __init__(self) -> None:
        self._deadline = float("inf")

    def begin(self, allowance_s: float) -> None:
        """A device call starts; it is hung if it takes longer than this."""
        self._deadline = time.monotonic() + allowance_s

    def end(self) -> None:
        self._deadline = float("inf")

    def forgive(self, seconds: float) -> None:
        """The whole process slept (SIGSTOP, a closed lid): not the device's fault."""
        self._deadline += seconds

    @property
    def stalled(self) -> bool:
        return time.monotonic() > self._deadline
