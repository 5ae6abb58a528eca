"""One process at a time downloads a repository, makes a folder or deletes it; the others wait, and then look anew.

Files of locks are never deleted: two processes would hold "the" lock then.
"""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 0.25


class Busy(Exception):
    """Another process has the lock."""


def give_up(_: float) -> None:
    """For `held`: it is not waited. Raises Busy."""
    raise Busy


def lock_of(folder: Path) -> Path:
    """Of a snapshot in the Hugging Face cache, or of a folder that mlxq makes."""
    if folder.parent.name != "snapshots":
        return folder.with_name(f".{folder.name}.lock")
    repository = folder.parent.parent
    return repository.parent / ".locks" / repository.name / "mlxq-pull.lock"


@contextmanager
def held(path: Path, wait: Callable[[float], None]) -> Generator[None]:
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
