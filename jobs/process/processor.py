"""The share of the processor that is ours, and threads that leave theirs to others."""

import os
import sys
import threading

NICE = 10
"""Of what reads large bodies and large jobs, a tenth of the share of others: two threads that prepare such jobs must
not keep two cores from the device's. Not less: they hold Python's lock now and then, and all threads wait for one that
holds it and has no core.
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
