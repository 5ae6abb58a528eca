"""One download of a repository at a time on this machine; the others wait for it, and then find all of it there."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 0.25


class Busy(Exception):
    """Another process has the lock."""


def give_up(_: float) -> None:
    """For `held`: it is not waited. Raises Busy."""
    raise Busy


@contextmanager
def held(path: Path, wait: Callable[[float], None]) -> Iterator[None]:
    """wait: called again and again with seconds while another process has the lock; may raise. The lock ends with the
    process that holds it, however that ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not _take(handle):
            wait(WAIT_S)
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
