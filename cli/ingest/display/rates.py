"""How fast something goes, of late."""

from collections import deque

WINDOW_S = 15.0


class Rate:
    """Of one count that grows."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def per_s(self, count: float, now: float) -> float:
        """count: as it is now. now: in seconds, growing. 0 at first."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        return (count - before) / (now - then) if now > then else 0.0
