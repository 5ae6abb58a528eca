"""The console over drawn collections, as a server that a browser can open."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.ui.context import ConsoleParts
from jobs.blobs.folder import BlobFolder
from jobs.settings import Settings
from tests.support.console.drawn_collections import DrawnCollections
from tests.support.console.memory_ingests import MemoryIngests
from tests.support.memory_queue import MemoryQueue
from tests.support.waiting import PATIENCE_S, wait_until


def console_app(
    collections: DrawnCollections, ingests: MemoryIngests, folder: Path, **settings: object
) -> FastAPI:
    """folder: for images to search with."""
    parts = ConsoleParts(ingests, BlobFolder(folder / "blobs"))
    return create_app(MemoryQueue(), Settings.model_validate(settings), None, collections, parts)


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Its address, without a slash at the end."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
