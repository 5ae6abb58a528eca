"""For a machine with a GPU: pages read by the shape of ColQwen2.5-3B in bf16, random weights.

Ceiling: the same pages in process, decoded beforehand, in the best of several batch sizes. Served: one page a request,
from as many callers as fill two batches and four, several API and client processes; the worker decodes what it is sent.

BENCH_PAGES_CHECKPOINT: the folder of the checkpoint, written if it is not there. BENCH_PAGES_PLAN=SMALL: a tiny shape
and few pages, to try this on a CPU.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
from PIL import Image

from bench.client import Load, load_from_processes
from bench.report import Row, median
from bench.stack import api, output_of, process, python, redis_server

WIDTH, HEIGHT = 1240, 1754
"""A4 at 150 dpi."""
FIELD, LETTER, LINE = 62, 6, 30
"""Pixels: sides of a coloured field and of a text's specks, and from one line of text to the next."""
QUALITY = 90

CALLERS = (32, 64)
API_PROCESSES, CLIENT_PROCESSES = 4, 4
WARM_UP_CALLERS = (1, 2, 4, 8, 16, 32)
LOG_SHOWN = 8000
"""Characters of the worker's log, where serving failed."""
BATCH = re.compile(r"batch done .*batch_size=(\d+)")


class Plan(NamedTuple):
    """shape: of bench.gpu.page_checkpoint.SHAPES. images: different ones. ceiling: pages in process of each batch size.
    warm_up, served: pages over HTTP.
    """

    shape: str
    images: int
    ceiling: int
    warm_up: int
    served: int


PLANS = {
    "COLQWEN_3B": Plan("COLQWEN_3B", images=64, ceiling=192, warm_up=192, served=576),
    "SMALL": Plan("SMALL", images=8, ceiling=16, warm_up=32, served=64),
}


class Ceiling(NamedTuple):
    """pages_per_s: by pages per batch. prepared_per_s: pages that are decoded and cut up, by a worker's threads."""

    page_tokens: float
    prepared_per_s: float
    pages_per_s: dict[str, float]

    @property
    def best(self) -> str:
        return max(self.pages_per_s, key=lambda size: self.pages_per_s[size])


class Served(NamedTuple):
    load: Load
    batch_pages: float


async def measure(repeats: int) -> list[Row]:
    plan = PLANS[os.environ.get("BENCH_PAGES_PLAN", "COLQWEN_3B")]
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as scratch:
        folder = Path(os.environ.get("BENCH_PAGES_CHECKPOINT") or Path(scratch) / "ColQwen2.5-shape")
        await output_of("-m", "bench.gpu.page_checkpoint", str(folder), plan.shape)
        images = Path(scratch) / "images"
        await asyncio.to_thread(_write_images, images, plan.images)
        ceilings: list[Ceiling] = []
        served: dict[int, list[Served]] = {callers: [] for callers in CALLERS}
        for _ in range(repeats):
            ceilings.append(await ceiling(folder, images, plan.ceiling))
            found = await serve(folder, images, plan, Path(scratch) / "worker.log")
            for callers, own in found.items():
                served[callers].append(own)
    return [
        *_ceiling_rows(ceilings),
        *(_served_row(ceilings, own, callers) for callers, own in served.items()),
    ]


def _ceiling_rows(ceilings: list[Ceiling]) -> Iterator[Row]:
    tokens = ceilings[0].page_tokens
    for size in ceilings[0].pages_per_s:
        rate = median([each.pages_per_s[size] for each in ceilings])
        figures = {"pages/s": rate, "pages per batch": int(size), "tokens per page": tokens}
        yield Row("in process", figures)
    rate = median([each.prepared_per_s for each in ceilings])
    yield Row("decoded and cut up, no device", {"pages/s": rate})


def _served_row(ceilings: list[Ceiling], served: list[Served], callers: int) -> Row:
    parts = [each.load.per_s / top.pages_per_s[top.best] for each, top in zip(served, ceilings, strict=True)]
    figures = {
        "pages/s": median([each.load.per_s for each in served]),
        "of the ceiling": median(parts),
        "pages per batch": median([each.batch_pages for each in served]),
        "tokens per page": ceilings[0].page_tokens,
        "p50 ms": median([each.load.latency_ms(0.5) for each in served]),
    }
    return Row(f"served, {callers} at once", figures)


async def ceiling(folder: Path, images: Path, pages: int) -> Ceiling:
    return Ceiling(
        **json.loads(await output_of("-m", "bench.gpu.page_ceiling", str(folder), str(images), str(pages)))
    )


async def serve(folder: Path, images: Path, plan: Plan, log: Path) -> dict[int, Served]:
    """By callers. log: the worker's, which says how large its batches were."""
    bodies = [_body(folder.name, path.read_bytes()) for path in sorted(images.iterdir())]
    async with _stack(folder, log) as port:
        for callers in WARM_UP_CALLERS:  # every shape is planned once
            await _load(port, bodies[:callers], callers, 2 * callers, processes=1)
        await _load(port, bodies, CALLERS[-1], plan.warm_up)
        return {callers: await _measured(port, bodies, callers, plan.served, log) for callers in CALLERS}


async def _measured(port: int, bodies: list[bytes], callers: int, pages: int, log: Path) -> Served:
    before = log.stat().st_size
    load = await _load(port, bodies, callers, pages)
    with log.open(encoding="utf-8") as file:
        file.seek(before)
        sizes = [int(size) for size in BATCH.findall(file.read())]
    assert sum(sizes) == load.requests, "the log names other batches than those measured"
    return Served(load, mean(sizes))


@contextlib.asynccontextmanager
async def _stack(folder: Path, log: Path) -> AsyncIterator[int]:
    logging = ("sh", "-c", 'exec "$@" 2>"$BENCH_LOG"', "worker")
    command = (*logging, *python("-m", "cli.main", "worker", "--model", str(folder)))
    with redis_server() as url:
        worker = process(*command, quiet=False, REDIS_URL=url, BENCH_LOG=str(log), MLXQ_LOG_LEVEL="DEBUG")
        try:
            async with worker, api(url, API_PROCESSES) as port:
                yield port
        except BaseException:  # its folder goes
            print(log.read_text(encoding="utf-8")[-LOG_SHOWN:], file=sys.stderr)
            raise


async def _load(
    port: int, bodies: list[bytes], callers: int, pages: int, *, processes: int = CLIENT_PROCESSES
) -> Load:
    load = await load_from_processes(port, bodies, connections=callers, total=pages, processes=processes)
    assert load.errors == 0, f"{load.errors} requests failed"
    return load


def _body(model: str, image: bytes) -> bytes:
    """A request for one page, its vectors in half precision."""
    uri = "data:image/jpeg;base64," + base64.b64encode(image).decode()
    return json.dumps(
        {"model": model, "input": [uri], "encoding_format": "base64", "output_dtype": "float16"}
    ).encode()


def _write_images(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}.jpeg").write_bytes(_image(number))


def _image(number: int) -> bytes:
    """Light fields of colour with lines of dark specks on them, as large as letters."""
    random = np.random.default_rng([17, number])
    across, down = -(-WIDTH // FIELD), -(-HEIGHT // FIELD)
    fields = random.integers(150, 256, (down, across, 3)).repeat(FIELD, 0).repeat(FIELD, 1)[:HEIGHT, :WIDTH]
    across, down = -(-WIDTH // LETTER), -(-HEIGHT // LETTER)
    ink = (random.random((down, across)) < 0.3).repeat(LETTER, 0).repeat(LETTER, 1)[:HEIGHT, :WIDTH]
    lines = np.arange(HEIGHT) % LINE < LINE // 3
    pixels = np.where((ink & lines[:, None])[:, :, None], fields // 8, fields).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
