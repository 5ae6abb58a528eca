"""Chat under a flood of embeddings on one device: how even the stream stays, and what is left for the flood."""

import asyncio
import contextlib
import importlib.util
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import bench.generate.chat as chat
from bench.client import Connection, post
from bench.corpus import CORPORA, bodies
from bench.report import Row, median, quantile_ms
from bench.stack import api, free_port, peer, process, python, redis_server, until_answers
from bench.stream_client import Stream, read_streams
from jobs.process.cancelling import cancel_and_wait
from workers.models.resolve import resolve

EMBEDDER = "all-MiniLM-L6-v2"
CALLERS = 16
ALONE_S = 15
WINDOW_S = 15
MAX_TOKENS = 4000
LONG_PROMPT_TOKENS = 4000
INTERVALS_MS = (50, 20)

Serving = contextlib.AbstractAsyncContextManager[tuple[int, str, str]]
"""The port, and the names of the generator and the embedder there."""


class Case(NamedTuple):
    name: str
    streams: int
    long_prompt: bool


CASES = (
    Case("1 stream", 1, False),
    Case("8 streams", 8, False),
    Case("1 stream, a prompt of 4,000", 1, True),
)


class Flood:
    """Callers that embed one text after the other, until they are stopped."""

    def __init__(self, port: int, model: str) -> None:
        self._requests = [
            post("/v1/embeddings", each) for each in bodies(model, CORPORA["mixed"].texts(2000))
        ]
        self._port = port
        self.done_s: list[float] = []

    async def __aenter__(self) -> "Flood":
        turns = iter(self._requests * 1000)
        self._tasks = [asyncio.create_task(self._call(turns)) for _ in range(CALLERS)]
        await asyncio.sleep(2)
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel_and_wait(*self._tasks)

    async def _call(self, turns: Iterator[bytes]) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, "127.0.0.1", self._port)
        for request in turns:
            assert await connection.send(request) == 200
            self.done_s.append(time.perf_counter())

    def per_s(self, begin_s: float, end_s: float) -> float:
        return sum(begin_s <= each <= end_s for each in self.done_s) / (end_s - begin_s)


async def measure(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as folder:
        model = await chat.write_generator(folder)
        rows: list[Row] = []
        for interval_ms in INTERVALS_MS:
            rows += await _rows(f"T = {interval_ms} ms", partial(_mlxq, model, interval_ms), repeats)
        if importlib.util.find_spec("mlx_vlm.server"):
            rows += await _rows("mlx_vlm.server", partial(_mlx_vlm, model), repeats)
        return rows


async def _rows(name: str, serving: Callable[[], Serving], repeats: int) -> list[Row]:
    found: dict[Case, list[tuple[float, float, float]]] = {case: [] for case in CASES}
    for repeat in range(repeats):
        async with serving() as (port, generator, embedder):
            await chat.run(port, generator, 1, 2, seed=repeat)
            async with Flood(port, embedder) as flood:  # the first calls are slow
                pass
            async with Flood(port, embedder) as flood:
                began = time.perf_counter()
                await asyncio.sleep(ALONE_S)
                alone = flood.per_s(began, time.perf_counter())
            for n, case in enumerate(CASES):
                async with Flood(port, embedder) as flood:
                    found[case].append(await _run(port, generator, case, flood, alone, seed=repeat * 10 + n))
    return [
        Row(
            f"{name}, {case.name}",
            {
                "gap p50 ms": median([each[0] for each in runs]),
                "gap p95 ms": median([each[1] for each in runs]),
                "embeddings, of alone": median([each[2] for each in runs]),
            },
        )
        for case, runs in found.items()
    ]


async def _run(
    port: int, model: str, case: Case, flood: Flood, alone: float, *, seed: int
) -> tuple[float, float, float]:
    """(gap p50 ms, gap p95 ms, share of the flood's rate alone)."""
    requests = [chat.chat_body(model, f"{seed} {n} tell me more", MAX_TOKENS) for n in range(case.streams)]
    began = time.perf_counter()
    running = asyncio.create_task(
        read_streams(port, "/v1/chat/completions", requests, case.streams, WINDOW_S)
    )
    if case.long_prompt:
        await asyncio.sleep(2)
        words = random.Random(seed).choices(range(1000, 9999), k=LONG_PROMPT_TOKENS // 4)
        long = chat.chat_body(model, " ".join(map(str, words)), 8)
        await read_streams(port, "/v1/chat/completions", [long], 1, WINDOW_S - 2)
    streams: list[Stream] = await running
    assert all(stream.status == 200 for stream in streams)
    gaps = [gap for stream in streams for gap in stream.gaps_s]
    gaps = gaps or [float(WINDOW_S)]  # nothing came at all
    return quantile_ms(gaps, 0.5), quantile_ms(gaps, 0.95), flood.per_s(began, time.perf_counter()) / alone


@contextlib.asynccontextmanager
async def _mlxq(folder: str, interval_ms: int) -> AsyncIterator[tuple[int, str, str]]:
    with redis_server() as url:
        command = python("-m", "cli.main", "worker", "--model", folder, "--model", EMBEDDER)
        worker = process(*command, REDIS_URL=url, MLXQ_TOKEN_INTERVAL_MS=str(interval_ms))
        async with worker, api(url) as port:
            yield port, Path(folder).name, EMBEDDER


@contextlib.asynccontextmanager
async def _mlx_vlm(folder: str) -> AsyncIterator[tuple[int, str, str]]:
    port, embedder = free_port(), str(resolve(EMBEDDER).folder)
    options = ("--port", str(port), "--model", folder, "--embedding-model", embedder)
    async with peer("mlx_vlm.server", *options):
        await until_answers(f"http://127.0.0.1:{port}/v1/models")
        yield port, folder, embedder
