"""One ingest at a time writes into a collection."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Generator
from pathlib import Path

from jobs.process.private_folder import read_pid
from jobs.search.errors import CollectionBusy


@contextlib.contextmanager
def hold_collection(folder: Path, collection: str) -> Generator[None]:
    """folder: the manifest's. The lock ends with our process, however that ends. Raises: CollectionBusy."""
    digest = hashlib.sha256(collection.encode()).hexdigest()[:16]  # a name may hold what a file's may not
    path = folder / f"{digest}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CollectionBusy(
                f"Another ingest (pid {read_pid(path) or 'unknown'}) writes into the collection {collection!r}: see "
                "`mlxq ingest status`. Wait for its end, or stop it, or ingest into another collection (-c NAME)."
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
