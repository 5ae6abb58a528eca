"""The embedded vector store in this process, and a client of it."""

import contextlib
import threading
from collections.abc import Generator
from pathlib import Path

import httpx
import uvicorn
from qdrant_client import QdrantClient
from starlette.types import ASGIApp

from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog
from tests.support.waiting import wait_until


@contextlib.contextmanager
def serving(app: ASGIApp, socket: Path) -> Generator[None]:
    """The application answers on the Unix socket."""
    server = uvicorn.Server(uvicorn.Config(app, uds=str(socket), log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        thread.join()


def client_of(socket: Path) -> QdrantClient:
    """Of what answers on the Unix socket."""
    transport = httpx.HTTPTransport(uds=str(socket))
    return QdrantClient(url="http://localhost:1", transport=transport, check_compatibility=False, timeout=60)


@contextlib.contextmanager
def opened(folder: Path) -> Generator[QdrantClient]:
    """A client of a store on that folder."""
    socket = folder.with_name(folder.name + ".sock")
    with serving(StoreApp(Catalog(folder)).app, socket), contextlib.closing(client_of(socket)) as client:
        yield client
