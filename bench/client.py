"""A load client that costs little: keep-alive connections, one prepared request, replies only measured."""

import argparse
import asyncio
import json
import sys
import time
from typing import NamedTuple, cast

import uvloop
from typing_extensions import override


class Load(NamedTuple):
    """What came of a closed loop: every connection sends its next request when the last reply is there."""

    requests: int
    seconds: float
    latencies_s: list[float]
    errors: int

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds

    def latency_ms(self, quantile: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] * 1e3


class Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection. Replies must carry content-length."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._missing = 0
        self._reply: asyncio.Future[int] | None = None
        self._status = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    @override
    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._buffer += data
            head_end = self._buffer.find(b"\r\n\r\n")
            if head_end < 0:
                return
            head = bytes(self._buffer[:head_end]).lower()
            self._status = int(head[9:12])
            at = head.index(b"content-length:") + 15
            length = int(head[at : head.find(b"\r", at) if head.find(b"\r", at) > 0 else len(head)])
            self._missing = length - (len(self._buffer) - head_end - 4)
            self._buffer.clear()
        if self._missing <= 0 and self._reply and not self._reply.done():
            self._missing = 0
            self._reply.set_result(self._status)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._reply and not self._reply.done():
            self._reply.set_exception(exc or ConnectionError("closed"))

    async def send(self, request: bytes) -> int:
        """The reply's status."""
        assert self.transport is not None
        self._reply = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._reply


def post(path: str, body: bytes) -> bytes:
    head = [
        f"POST {path} HTTP/1.1",
        "host: bench",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


async def close_loop(
    host: str, port: int, requests: list[bytes], *, connections: int, total: int, seconds: float | None = None
) -> Load:
    """`total` requests, taken from the list in turn, over so many connections; no more begin after so many seconds."""
    until = time.perf_counter() + (seconds or 86_400)
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, host, port))[1] for _ in range(connections)]
    turns = iter(range(total))
    latencies_s: list[float] = []
    errors = 0

    async def work(connection: Connection) -> None:
        nonlocal errors
        for turn in turns:
            began = time.perf_counter()
            if began > until:
                return
            status = await connection.send(requests[turn % len(requests)])
            latencies_s.append(time.perf_counter() - began)
            errors += status != 200

    began = time.perf_counter()
    await asyncio.gather(*map(work, opened))
    took_s = time.perf_counter() - began
    for connection in opened:
        if connection.transport:
            connection.transport.close()
    return Load(len(latencies_s), took_s, latencies_s, errors)


async def load_from_processes(
    port: int,
    bodies: list[bytes],
    *,
    connections: int,
    total: int,
    processes: int = 1,
    path: str = "/v1/embeddings",
    seconds: float | None = None,
) -> Load:
    """The closed loop from client processes of their own; rates add up over the slowest one's time."""
    plan = json.dumps(
        {
            "port": port,
            "path": path,
            "seconds": seconds,
            "connections": connections // processes,
            "total": total // processes,
            "bodies": [body.decode() for body in bodies],
        }
    )
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.client",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(processes)
    ]
    outputs = await asyncio.gather(*[child.communicate(plan.encode()) for child in children])
    loads = [Load(**json.loads(out)) for out, _ in outputs]
    return Load(
        sum(load.requests for load in loads),
        max(load.seconds for load in loads),
        [latency for load in loads for latency in load.latencies_s],
        sum(load.errors for load in loads),
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    plan = json.load(sys.stdin)
    requests = [post(plan["path"], body.encode()) for body in plan["bodies"]]
    load = uvloop.run(
        close_loop(
            "127.0.0.1",
            plan["port"],
            requests,
            connections=plan["connections"],
            total=plan["total"],
            seconds=plan["seconds"],
        )
    )
    json.dump(load._asdict(), sys.stdout)


if __name__ == "__main__":
    main()
