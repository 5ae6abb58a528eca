"""`mlxq mcp`: the collections as tools, over standard input and output or over HTTP."""

import argparse
import asyncio

from cli.cannot_do import CannotDo
from cli.search.connected import connected_with_queue
from ingest.mcp.server import mcp_server
from jobs.errors import JobError
from jobs.settings import Settings


def mcp(settings: Settings, options: argparse.Namespace) -> int:
    """Until its caller goes, or Ctrl-C. Raises: CannotDo."""
    port = _port(options.http_port)
    try:
        asyncio.run(_serve(settings, port))  # the SDK reads standard input in a thread: any event loop does
    except JobError as error:
        raise CannotDo(error.message) from error
    return 0


async def _serve(settings: Settings, port: int | None) -> None:
    async with connected_with_queue(settings) as found:
        server = mcp_server(found.collections, found.queue, settings)
        if port is None:
            await server.run_stdio_async()
        else:
            await server.run_streamable_http_async(port=port)


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= 65535:
        raise CannotDo(f"--http {text!r} is no port: a number from 1 to 65535.")
    return int(text)
