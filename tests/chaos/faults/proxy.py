"""A TCP proxy before Redis that loses or delays replies and cuts connections."""

import asyncio
import contextlib
import random
from pathlib import Path

CHUNK_BYTES = 1 << 16


class Proxy:
    """drop_share: of replies that are thrown away with their connection, after Redis did the work.

    cut_share: of requests that are cut in the middle, so that Redis never sees all of them. delay_s: of every reply.
    """

    def __init__(self, upstream: Path, chance: random.Random) -> None:
        self._upstream = upstream
        self._chance = chance
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self.drop_share = 0.0
        self.cut_share = 0.0
        self.delay_s = 0.0
        self.refusing = False
        self.dropped_replies = 0
        self.cut_requests = 0
        self.delayed_replies = 0

    async def start(self) -> str:
        """Returns the URL under which clients reach Redis through this proxy."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return f"redis://{host}:{port}"

    async def aclose(self) -> None:
        if self._server:
            self._server.close()
        self.cut_all()

    def cut_all(self) -> None:
        for pair in list(self._pairs):
            for writer in pair:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if not self.refusing:
                server_reader, server_writer = await asyncio.open_unix_connection(str(self._upstream))
                pair = (writer, server_writer)
                self._pairs.add(pair)
                pumps = [
                    asyncio.create_task(self._requests(reader, server_writer)),
                    asyncio.create_task(self._replies(server_reader, writer)),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                server_writer.transport.abort()
                writer.transport.abort()
                await asyncio.gather(*pumps, return_exceptions=True)
                self._pairs.discard(pair)
        writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            if self._chance.random() < self.cut_share:
                self.cut_requests += 1
                writer.write(chunk[: len(chunk) // 2])
                await writer.drain()
                return
            writer.write(chunk)
            await writer.drain()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            if self._chance.random() < self.drop_share:
                self.dropped_replies += 1
                return
            if self.delay_s:
                self.delayed_replies += 1
                await asyncio.sleep(self.delay_s)
            writer.write(chunk)
            await writer.drain()
