"""An embedding and a chat client beside a flood: bodies of 30 MB, schemas of 800 properties, connections cut in one.

The callers of the flood share the machine with what they call. So the clients are also measured beside as many
processes that only keep the machine busy, at the same low priority, and ask for nothing: what that costs is the
machine's, not the server's.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import redis

from bench.client import Load, load_from_processes
from bench.report import Row, median, quantile_ms
from bench.stack import ROOT, api, process, python, redis_server

EMBEDDER = "all-MiniLM-L6-v2"
GENERATOR = ROOT / "examples" / "tiny_chat" / "model"
CHAT = "chat"
WINDOW_S = 20
WARM_UP = 20
BUSY = "import os\nos.nice(19)\nwhile True: bytearray(30_000_000)"
"""Makes room for a body, again and again."""
BUSY_PROCESSES = 4
"""As many as the flood has callers."""


class Client(NamedTuple):
    """What one client asks for, again and again."""

    name: str
    path: str
    body: bytes


CLIENTS = (
    Client(
        "embedding",
        "/v1/embeddings",
        json.dumps({"model": EMBEDDER, "input": "a red fox runs over the old street"}).encode(),
    ),
    Client(
        "chat",
        "/v1/chat/completions",
        json.dumps(
            {"model": CHAT, "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]}
        ).encode(),
    ),
)


async def measure(repeats: int) -> list[Row]:
    found: dict[str, list[tuple[float, float, float]]] = {client.name: [] for client in CLIENTS}
    floods: list[dict[str, int]] = []
    for _ in range(repeats):
        async with _serving() as (port, url):
            await _run(port, WARM_UP, None)
            alone = await _run(port, None, WINDOW_S)
            with _busy():
                busy = await _run(port, None, WINDOW_S)
            async with _flood(port) as flood:
                beside = await _run(port, None, WINDOW_S)
            floods.append(flood)
            await _until_drained(url)
        for client, *loads in zip(CLIENTS, alone, busy, beside, strict=True):
            assert not any(load.errors for load in loads), f"{client.name}: requests failed"
            first, second, third = (quantile_ms(load.latencies_s, 0.99) for load in loads)
            found[client.name].append((first, second, third))
    rows = [
        Row(
            name,
            {
                "p99 ms alone": median([alone for alone, _, _ in runs]),
                "beside busy processes": median([busy for _, busy, _ in runs]),
                "busy to alone": median([busy / alone for alone, busy, _ in runs]),
                "beside the flood": median([beside for _, _, beside in runs]),
                "flood to alone": median([beside / alone for alone, _, beside in runs]),
                "flood to busy": median([beside / busy for _, busy, beside in runs]),
            },
        )
        for name, runs in found.items()
    ]
    kinds = dict.fromkeys(kind for flood in floods for kind in flood)
    rows.append(
        Row("the flood, requests", {kind: median([each.get(kind, 0) for each in floods]) for kind in kinds})
    )
    return rows


@contextlib.asynccontextmanager
async def _serving() -> AsyncIterator[tuple[int, str]]:
    with redis_server() as url:
        command = ("-m", "cli.main", "worker", "--model", EMBEDDER, "--model", f"{CHAT}={GENERATOR}")
        async with process(*python(*command), REDIS_URL=url), api(url) as port:
            yield port, url


async def _run(port: int, total: int | None, seconds: float | None) -> list[Load]:
    """Both clients at once, for so many requests or so long."""
    return await asyncio.gather(
        *[
            load_from_processes(
                port,
                [client.body],
                connections=1,
                total=total or 1_000_000,
                path=client.path,
                seconds=seconds,
            )
            for client in CLIENTS
        ]
    )


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(BUSY_PROCESSES)]
    try:
        yield
    finally:
        for child in started:
            child.kill()
            child.wait()


@contextlib.asynccontextmanager
async def _flood(port: int) -> AsyncIterator[dict[str, int]]:
    """Runs in a process of its own. Afterwards: how many requests of each kind got each status."""
    told: dict[str, int] = {}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.generate.flood_callers", str(port), EMBEDDER, CHAT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    try:
        await child.stdout.readline()  # its bodies are made
        yield told
    finally:
        output, _ = await child.communicate(b"")  # its input ends, and so does it
        told.update(json.loads(output))


async def _until_drained(url: str, timeout_s: float = 60) -> None:
    """Nothing is left of the flood: no job in a queue, none in a worker."""
    client = redis.Redis.from_url(url)
    deadline = time.monotonic() + timeout_s
    while any(client.llen(key) for key in client.smembers("rq:queues")) or client.keys("mlxq:held:*"):  # pyright: ignore
        assert time.monotonic() < deadline, "jobs of the flood are left"
        await asyncio.sleep(0.1)
