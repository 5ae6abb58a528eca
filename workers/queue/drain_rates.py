"""How fast queues drain: what Retry-After and /v1/queue/stats are computed from."""

import math
import time
from collections import Counter

WINDOW_S = 10.0
"""Time constant of the average."""


class DrainRates:
    """Jobs per second and queue, averaged exponentially. Counted by one thread, read by another."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._rates: dict[str, float] = {}
        self._read_at = time.monotonic()

    def count(self, queue: str) -> None:
        self._counted[queue] += 1

    def read(self) -> dict[str, float]:
        """The rates now; queues at rest fade out."""
        now = time.monotonic()
        elapsed_s, self._read_at = max(1e-6, now - self._read_at), now
        counted, self._counted = self._counted, Counter()
        weight = 1 - math.exp(-elapsed_s / WINDOW_S)
        for queue in {*self._rates, *counted}:
            fresh = counted[queue] / elapsed_s
            old = self._rates.get(queue, fresh)
            self._rates[queue] = old + weight * (fresh - old)
        self._rates = {queue: rate for queue, rate in self._rates.items() if rate > 0.001}
        return dict(self._rates)
