"""What is seen of a pull: one line on a terminal that tells how far it is, sentences elsewhere."""

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from cli.ingest.display.amounts import told_bytes, told_time
from cli.ingest.display.rates import Rate
from jobs.machines.commands import Progress

INTERVAL_S = 0.1
_CLEAR = "\r\x1b[K"
MANIFEST = "pulling manifest"


class Display:
    """Of one pull. `close` it before anything else is printed."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._lives = out.isatty()
        self._files: dict[str, Progress] = {}
        self._first: dict[str, int] = {}
        """Bytes of each file that were here when it was first told: they did not come just now."""
        self._total = 0
        self._rate = Rate()
        self._drawn = float("-inf")
        self._line = ""
        self._said = ""

    def __call__(self, update: Progress) -> None:
        if update.digest:
            self._files[update.digest] = update
            self._first.setdefault(update.digest, update.completed or 0)
            self._draw()
        else:
            self._total = max(self._total, update.total or 0)
            self._say(update.status)

    def close(self) -> None:
        """The line that lives goes away."""
        if self._line:
            self._out.write(_CLEAR)
            self._out.flush()
            self._line = ""

    def _say(self, status: str) -> None:
        if status in (self._said, "success"):
            return
        self.close()
        self._said = status
        print(status, file=self._out, flush=True)

    def _draw(self) -> None:
        now = self._clock()
        if not self._lives or now - self._drawn < INTERVAL_S:
            return
        self._drawn = now
        width = shutil.get_terminal_size().columns - 1
        line = self.line(now)[:width]
        self._out.write(f"{_CLEAR}{line}")
        self._out.flush()
        self._line = line

    def line(self, now: float) -> str:
        """How much is here, how fast it comes, and how long it will take."""
        here = sum(each.completed or 0 for each in self._files.values())
        total = max(self._total, sum(each.total or 0 for each in self._files.values()))
        per_s = self._rate.per_s(here - sum(self._first.values()), now)
        left = f" · {told_time((total - here) / per_s)} left" if per_s and here < total else ""
        speed = f" · {told_bytes(per_s)}/s" if per_s else ""
        share = here * 100 // total if total else 100
        return f"pulling {share:3d} % · {told_bytes(here)} of {told_bytes(total)}{speed}{left}"
