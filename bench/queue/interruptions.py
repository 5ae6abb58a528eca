"""What the machine takes from Redis: other programs on its processors, and the host below it.

`python -m bench.queue.interruptions` looks at the clock every millisecond until its input ends, and prints the longest
gap.
"""

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

FIRST = -20
"""Of `nice`."""

PERIOD_S = 0.001


def prefer(pid: int) -> bool:
    """Have a program go before the others here, so that its time is its own. Only root may.

    Linux shares the processors among sessions first (sched(7): the autogroup feature), and Redis has one of its own.
    """
    session = Path(f"/proc/{pid}/autogroup")
    try:
        os.setpriority(os.PRIO_PROCESS, pid, FIRST)
        if session.exists():
            session.write_text(str(FIRST))
    except OSError:
        return False
    return True


def waited_s(pid: int) -> float:
    """How long the program's first thread was kept waiting for a processor so far. 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


class Clock:
    """A program that only looks at the clock, preferred as Redis is. What it misses, a script may have missed, too."""

    longest_gap_s = 0.0
    """Known at the end."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "bench.queue.interruptions"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        printed, _ = self._process.communicate()
        self.longest_gap_s = float(printed)


def longest_gap_s() -> float:
    """By which a look at the clock came late, until the input ends."""
    longest = 0.0
    while True:
        began = time.perf_counter()
        if select.select([sys.stdin], [], [], PERIOD_S)[0]:
            return longest
        longest = max(longest, time.perf_counter() - began - PERIOD_S)


if __name__ == "__main__":
    prefer(os.getpid())
    print(longest_gap_s())
