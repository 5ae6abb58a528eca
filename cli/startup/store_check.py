"""Waiting for the vector store of a `mlxq up` that starts."""

import time
from collections.abc import Callable

from ingest.qdrant.folder import vector_folder
from jobs.settings import Settings
from jobs.store.data_folder import DataFolder

PATIENCE_S = 60
POLL_S = 0.1


def await_store(settings: Settings, note: Callable[[str], None]) -> None:
    """Returns once the embedded store is there, or nobody starts it: then what needs it says what to do.

    `mlxq up` starts its Redis before everything else. note: told once where it is waited for.
    """
    if settings.qdrant_url is not None:
        return
    store, redis = vector_folder(settings), DataFolder(settings.data / "redis")
    deadline, is_told = time.monotonic() + PATIENCE_S, False
    while not store.is_served() and redis.is_served() and time.monotonic() < deadline:
        if not is_told:
            note("`mlxq up` is starting, and is waited for.")
            is_told = True
        time.sleep(POLL_S)
