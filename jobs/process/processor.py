"""The share of the processor that is ours, and threads and processes that leave theirs to others."""

import contextlib
import os
import sys
import threading
from pathlib import Path

NICE = 10
"""Of what reads large bodies and large jobs, a tenth of the share of others: two threads that prepare such jobs must
not keep two cores from the device's. Not less: they hold Python's lock now and then, and all threads wait for one that
holds it and has no core.
"""

STORE_NICE = 5
"""Of the vector store, a third: what it stores can wait, but somebody may wait for what it searches."""

_SESSION = Path("/proc/self/autogroup")
"""Linux may share the processor out to sessions first (`sched_autogroup_enabled`, on in most desktops), and to the
processes of each by their priority then. What we start has a session of its own, and here is the session's priority.
"""


def cores() -> int:
    """How many this process may use: taskset, or a container's cpuset, leaves it fewer than the machine has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lower_priority() -> None:
    """Of the calling thread, for good. On Linux only: elsewhere a priority is the whole process's."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def lower_process_priority(nice: int) -> None:
    """Of this process, and of its session where it leads one, for good. Before it starts threads: on Linux those that
    are there keep theirs.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # another system, or a container that may not
            _SESSION.write_text(f"{nice}")
