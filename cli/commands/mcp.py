"""`mlxq mcp`: the collections as tools, over standard input and output or over HTTP."""

import argparse
import asyncio
import contextlib
import signal
import socket

import uvicorn

from cli.cannot_do import CannotDo
from cli.processes.listener import listen, local_url
from cli.search.connected import connected_with_queue
from ingest.mcp.server import mcp_server
from jobs.errors import JobError
from jobs.settings import Settings


def mcp(settings: Settings, options: argparse.Namespace) -> int:
    """Until its caller goes, or Ctrl-C. Raises: CannotDo, OSError."""
    try:
        if options.http_port is None:
            _let_signals_end_us()
            asyncio.run(_serve(settings, None))
            return 0
        with (
            listen("127.0.0.1", _port(options.http_port)) as listener,
            contextlib.suppress(KeyboardInterrupt),
        ):
            asyncio.run(_serve(settings, listener))  # it ends in order, and then raises the signal once more
    except JobError as error:
        raise CannotDo(error.message) from error
    return 0


def _let_signals_end_us() -> None:
    """At once: a thread reads standard input, and nothing else would end that. Nothing is lost."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


async def _serve(settings: Settings, listener: socket.socket | None) -> None:
    """listener: of HTTP; None: over standard input and output."""
    async with connected_with_queue(settings) as found:
        server = mcp_server(found.collections, found.queue, settings)
        if listener is None:
            await server.run_stdio_async()
            return
        print(f"The tools are served on {local_url(listener)}/mcp. Ctrl-C ends that.", flush=True)
        config = uvicorn.Config(server.streamable_http_app(), access_log=False, log_config=None)
        await uvicorn.Server(config).serve([listener])


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:6]) > 65535:
        raise CannotDo(f"--http {text!r} is no port: a number from 0 (any that is free) to 65535.")
    return int(text)
