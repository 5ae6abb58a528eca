"""A model of 2 GB whose pull is killed at 30, 60 and 90 %; and a chat beside a pull."""

import asyncio
import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from bench.pulls.hub import NAME
from bench.report import Row, median, quantile_ms
from bench.stack import ROOT, api, process, python, redis_server
from bench.stream_client import streams_from_process

GIGABYTES = float(os.environ.get("MLXQ_BENCH_GIGABYTES", "2"))
KILLED_AT = (0.3, 0.6, 0.9)
FAST_BYTES_PER_S = 250e6
"""So that there is time to kill it."""
LINE_BYTES_PER_S = 30e6
"""Of a line of 240 Mbit/s, beside the chat."""
STREAMS = 12
POLL_S = 0.02


class Hub(NamedTuple):
    """The stand-in, in a process of its own."""

    port: int
    size_bytes: int
    sha256: str
    process: asyncio.subprocess.Process

    async def sent_bytes(self) -> int:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b"\n")
        return int(await self.process.stdout.readline())


async def measure(repeats: int) -> list[Row]:
    return [await _killed(), await _beside_chat(repeats)]


async def _killed() -> Row:
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as name:
        folder = Path(name)
        async with _hub(GIGABYTES, FAST_BYTES_PER_S) as hub:
            began = time.perf_counter()
            for share in KILLED_AT:
                child = await _pull(hub, folder)
                while await hub.sent_bytes() < share * hub.size_bytes:
                    await asyncio.sleep(POLL_S)
                child.kill()
                await child.communicate()
            output, _ = await (await _pull(hub, folder)).communicate()
            took_s = time.perf_counter() - began
            last = json.loads(output.splitlines()[-1])
            assert last["status"] == "success", last
            sent = await hub.sent_bytes()
            (weights,) = folder.glob("cache/models--*/snapshots/*/model.safetensors")
            with weights.open("rb") as opened:
                right = hashlib.file_digest(opened, "sha256").hexdigest() == hub.sha256
            assert right, "the checksum is wrong"
            assert not list(folder.rglob("*.incomplete")), "something is left"
            return Row(
                f"{GIGABYTES:g} GB, killed at 30, 60, 90 %",
                {"bytes, of its size": sent / hub.size_bytes, "kills": len(KILLED_AT), "seconds": took_s},
            )


async def _beside_chat(repeats: int) -> Row:
    gaps: list[tuple[float, float]] = []
    body = json.dumps(
        {
            "model": "chat",
            "stream": True,
            "max_tokens": 96,
            "ignore_eos": True,
            "messages": [{"role": "user", "content": "Tell me a story."}],
        }
    )
    with redis_server() as url, tempfile.TemporaryDirectory(prefix="mlxq-bench-") as name:
        command = ("-m", "cli.main", "worker", "--model", f"chat={ROOT / 'examples' / 'tiny_chat' / 'model'}")
        async with process(*python(*command), REDIS_URL=url), api(url) as port:
            await streams_from_process(port, [body] * 4, connections=1)
            for repeat in range(repeats):
                alone = await _gap_p95_ms(port, body)
                async with _hub(GIGABYTES, LINE_BYTES_PER_S) as hub:
                    child = await _pull(hub, Path(name) / f"{repeat}")
                    while await hub.sent_bytes() < 10e6:
                        await asyncio.sleep(POLL_S)
                    beside = await _gap_p95_ms(port, body)
                    assert child.returncode is None, "the pull was over too soon"
                    child.kill()
                    await child.communicate()
                again = await _gap_p95_ms(port, body)
                gaps.append(((alone + again) / 2, beside))
    return Row(
        f"chat beside a pull at {LINE_BYTES_PER_S / 1e6:.0f} MB/s",
        {
            "gap p95 ms alone": median([alone for alone, _ in gaps]),
            "beside": median([beside for _, beside in gaps]),
            "ratio": median([beside / alone for alone, beside in gaps]),
        },
    )


async def _gap_p95_ms(port: int, body: str) -> float:
    streams = await streams_from_process(port, [body] * STREAMS, connections=1)
    assert all(stream.status == 200 for stream in streams)
    return quantile_ms([gap for stream in streams for gap in stream.gaps_s], 0.95)


@contextlib.asynccontextmanager
async def _hub(gigabytes: float, bytes_per_s: float) -> AsyncIterator[Hub]:
    child = await asyncio.create_subprocess_exec(
        *python("-m", "bench.pulls.hub", f"{gigabytes}", f"{bytes_per_s}"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin and child.stdout
    try:
        port, size_bytes, sha256 = (await child.stdout.readline()).split()
        yield Hub(int(port), int(size_bytes), sha256.decode(), child)
    finally:
        child.stdin.close()
        await child.wait()


async def _pull(hub: Hub, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *python("-m", "workers.pull", NAME),
        cwd=ROOT,
        env={
            **os.environ,
            "HF_ENDPOINT": f"http://127.0.0.1:{hub.port}",
            "HF_HUB_CACHE": str(folder / "cache"),
            "MLXQ_DATA": str(folder / "data"),
        },
        stdout=asyncio.subprocess.PIPE,
    )
