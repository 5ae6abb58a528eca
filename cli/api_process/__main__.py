"""One API process, started by `mlxq up` and `mlxq serve` with the listening socket and the parent's pipe."""

import argparse
import asyncio
import logging
import socket

import uvloop
from starlette.types import ASGIApp

from api.access_log import AccessLog
from api.app import create_app
from api.fetch.image_source import GuardedImageSource
from api.large_bodies import LargeBodies
from api.ui.context import ConsoleParts
from cli.api_process.collections import LateCollections
from cli.api_process.ingests import ManifestIngests
from cli.api_process.server import STOP_S, ApiServer
from jobs.blobs.store import blob_store
from jobs.client.queue import JobQueue
from jobs.process.garbage import exempt_what_is_there
from jobs.process.log import set_up_logging
from jobs.process.parent_watch import exit_with_parent
from jobs.process.processor import lower_process_priority
from jobs.results.folder import results_folder
from jobs.settings import Settings
from jobs.store import outage
from jobs.store.connection import connect, connect_async, own_folder, redis_url


async def answer(listener: socket.socket, settings: Settings, large_port: int | None) -> None:
    """Until SIGTERM; then requests in flight are ended as ApiServer says.

    large_port: of the process that answers requests with large bodies; None where this one does.
    """
    images = GuardedImageSource(settings)
    queue = JobQueue(
        connect_async(redis_url(settings)), settings, own_folder(settings), results_folder(settings)
    )
    collections = LateCollections(settings, queue)
    ingests = ManifestIngests(settings)
    console = ConsoleParts(ingests, blob_store(settings, connect(redis_url(settings))))
    try:
        app: ASGIApp = create_app(queue, settings, images, collections, console)
        if settings.access_log:
            app = AccessLog(app)
        if large_port is not None:  # that process logs what it answers
            app = LargeBodies(app, large_port)
        exempt_what_is_there()
        await ApiServer(app, queue, settings.idle_timeout_s).serve(sockets=[listener])
    finally:
        await ingests.aclose()
        await collections.aclose()
        await images.aclose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--large-port", type=int, help="where requests with large bodies are answered")
    parser.add_argument("--nice", type=int, default=0, help="leave the processor to others")
    options = parser.parse_args()
    if options.nice:
        lower_process_priority(options.nice)
    exit_with_parent(options.parent_fd, grace_s=STOP_S + 1)
    settings = Settings()
    set_up_logging(settings.log_level)
    if options.large_port is None:
        logging.getLogger(outage.__name__).setLevel(logging.CRITICAL)  # the other API processes say it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(answer(socket.socket(fileno=options.listen_fd), settings, options.large_port))


if __name__ == "__main__":
    main()
