"""The process that owns the collections of vectors, started by `mlxq up` with the parent's pipe."""

import argparse
import contextlib
import logging
import socket
import sys
import time
from collections.abc import Generator
from pathlib import Path

import uvicorn
import uvloop

from cli.processes import event_loop
from ingest.qdrant.folder import shards_folder, vector_folder
from ingest.store.aliases import Aliases
from ingest.store.app import StoreApp
from ingest.store.catalog import Catalog
from jobs.process.garbage import exempt_what_is_there
from jobs.process.log import set_up_logging
from jobs.process.parent_watch import exit_with_parent
from jobs.process.private_folder import FolderInUse, FolderUnusable, PrivateFolder
from jobs.process.processor import STORE_NICE, lower_process_priority
from jobs.settings import Settings
from workers.supervisor import CONFIGURATION_ERROR

log = logging.getLogger(__name__)

STOP_S = 20
"""Requests in flight may take so long to end."""

ORPHAN_S = 15
"""A store whose parent was killed gets so long to end, before the folder counts as in use."""

POLL_S = 0.1


def hold(folder: PrivateFolder) -> None:
    """Raises: FolderInUse, FolderUnusable."""
    deadline = time.monotonic() + ORPHAN_S
    while True:
        try:
            folder.hold()
            return
        except FolderInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


@contextlib.contextmanager
def listening(path: Path) -> Generator[socket.socket]:
    """On a Unix socket in a folder that we hold: what a crash left there is nobody's."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(128)
        yield listener
    path.unlink(missing_ok=True)


async def answer(folder: Path, sockets: list[socket.socket]) -> None:
    """Until SIGTERM; then the collections are closed."""
    config = uvicorn.Config(
        StoreApp(Catalog(folder)).app,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
    )
    exempt_what_is_there()
    await uvicorn.Server(config).serve(sockets=sockets)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument(
        "--listen-fd", type=int, help="listen there, too, besides the socket in the data folder"
    )
    options = parser.parse_args()
    lower_process_priority(STORE_NICE)
    exit_with_parent(options.parent_fd, grace_s=STOP_S + 1)
    settings = Settings()
    set_up_logging(settings.log_level)
    folder = vector_folder(settings)
    try:
        hold(folder)
        Aliases(shards_folder(settings)).load()  # what is wrong with them is told before anything is served
    except FolderUnusable as error:
        log.error("the vector store cannot start", extra={"cause": error})
        return CONFIGURATION_ERROR
    with listening(folder.socket) as listener:
        others = [] if options.listen_fd is None else [socket.socket(fileno=options.listen_fd)]
        event_loop.run(answer(shards_folder(settings), [listener, *others]), uvloop.new_event_loop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
