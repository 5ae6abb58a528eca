"""For a machine with a GPU: the shape of Qwen3-Embedding-0.6B in bf16, random weights, texts of about 90 tokens.

Ceiling: batches of 64, in process. Served: one text per request, several API and client processes.
"""

import contextlib
import importlib.util
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from bench.client import Load
from bench.embed.texts import Ceiling, ceiling, one_text_each
from bench.report import Row, median
from bench.stack import api, free_port, output_of, process, python, redis_server, until_answers

COUNT = 8192
CONCURRENCIES = (64, 256)
API_PROCESSES, CLIENT_PROCESSES = 4, 4
CORPUS = "about-90-tokens"


async def measure(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("BENCH_CHECKPOINT", str(Path(temporary) / "Qwen3-Embedding-0.6B-shape")))
        await output_of("-m", "bench.checkpoint", str(folder))
        return await _measure(str(folder), folder.name, repeats)


async def _measure(folder: str, model: str, repeats: int) -> list[Row]:
    ceilings: list[Ceiling] = []
    served: dict[int, list[tuple[float, float]]] = {}
    for _ in range(repeats):
        ceilings.append(await ceiling(folder, COUNT, 1 << 30, 64, CORPUS))
        async with _stack(folder) as port:
            for concurrency in CONCURRENCIES:
                await load(port, model, concurrency, 2048)  # every shape is planned once
                measured = await load(port, model, concurrency, COUNT)
                served.setdefault(concurrency, []).append((measured.per_s, measured.latency_ms(0.5)))
    top = median([each.batched for each in ceilings])
    in_process = {"texts/s": top, "one by one": median([each.one_by_one for each in ceilings])}
    rows = [Row("in process, batches of 64", in_process | {"mean tokens": ceilings[0].mean_tokens})]
    for concurrency, runs in served.items():
        rate = median([rate for rate, _ in runs])
        p50 = median([latency for _, latency in runs])
        rows.append(
            Row(
                f"served, {concurrency} at once",
                {"texts/s": rate, "of the ceiling": rate / top, "p50 ms": p50},
            )
        )
    return [*rows, *await _peer(folder)]


@contextlib.asynccontextmanager
async def _stack(folder: str) -> AsyncIterator[int]:
    with redis_server() as url:
        worker = process(*python("-m", "cli.main", "worker", "--model", folder), quiet=False, REDIS_URL=url)
        async with worker, api(url, API_PROCESSES) as port:
            yield port


async def _peer(folder: str) -> list[Row]:
    """mlx_vlm.server under the same load, where it is installed."""
    if importlib.util.find_spec("mlx_vlm.server") is None:
        return []
    port = free_port()
    rows: list[Row] = []
    async with process(*python("-m", "mlx_vlm.server", "--port", str(port), "--embedding-model", folder)):
        await until_answers(f"http://127.0.0.1:{port}/v1/models")
        for concurrency in CONCURRENCIES:
            measured = await load(port, folder, concurrency, 1024)
            rows.append(Row(f"mlx_vlm.server, {concurrency} at once", {"texts/s": measured.per_s}))
    return rows


async def load(port: int, model: str, concurrency: int, total: int) -> Load:
    return await one_text_each(port, model, concurrency, total, processes=CLIENT_PROCESSES, corpus=CORPUS)
