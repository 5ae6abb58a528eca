"""2,000 mixed pages with an embedder that computes nothing, against rendering them alone; and a chat beside pages."""

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from bench.generate.chat import write_generator
from bench.ingest.corpus import write_corpus
from bench.ingest.noop_pages import NoopPages
from bench.ingest.site import IngestSite
from bench.report import Row, median, quantile_ms
from bench.stack import output_of
from cli.processes.supervisors import worker_supervisor
from ingest.documents.problem import Problem
from ingest.documents.reader import DocumentReader
from ingest.documents.wants import Wants
from ingest.pipeline.work import visual_target
from jobs.client.queue import JobQueue
from jobs.content import TextPart
from jobs.generate import Chat, GenerateJob, Message, Sampling
from jobs.job import Lane, SubmitOptions
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings
from jobs.store.connection import connect_async, redis_url

PAGES = 2000
WARM = 500
"""From so many pages on, memory and processor time are measured."""

PROCESSES = 2
"""That read documents."""

CHAT_PAGES = 5000
CHAT_S = 20
CHAT_TOKENS = 4000


class Use(NamedTuple):
    """What a process has used."""

    cpu_s: float
    own_bytes: int
    """Resident, without what is mapped from files: the store's vectors are, and the system may drop those."""
    rss_bytes: int


class Sample(NamedTuple):
    """Of all processes at one moment."""

    at: float
    pages: int
    processes: dict[str, Use]


async def measure(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as name:
        folder = Path(name)
        documents = write_corpus(folder / "documents", PAGES)
        alone, runs = [], []
        for repeat in range(repeats):
            alone.append(await _render(documents))
            runs.append(await _ingest(documents, folder / f"data{repeat}"))
        return [*_rows(alone, runs), await _chat_row(folder, repeats)]


def _rows(alone: list[tuple[float, float]], runs: list[tuple[Sample, Sample]]) -> list[Row]:
    rates = [(end.pages - begin.pages) / (end.at - begin.at) for begin, end in runs]
    begin, end = runs[-1]
    counted = end.pages - begin.pages
    used = {name: end.processes[name].cpu_s - use.cpu_s for name, use in begin.processes.items()}
    rows = [
        Row(
            "rendering alone",
            {
                "pages/s": median([rate for rate, _ in alone]),
                "CPU ms per page": median([cpu for _, cpu in alone]),
            },
        ),
        Row(
            "ingest",
            {
                "pages/s": median(rates),
                "of rendering alone": median(
                    [rate / only for rate, (only, _) in zip(rates, alone, strict=True)]
                ),
                "CPU ms per page": sum(used.values()) / counted * 1e3,
            },
        ),
    ]
    for name, cpu_s in used.items():
        before, after = begin.processes[name].own_bytes, end.processes[name].own_bytes
        rows.append(
            Row(
                f"{name} process",
                {
                    "CPU ms per page": cpu_s / counted * 1e3,
                    f"MB at page {WARM}": before / 1e6,
                    "MB at the end": after / 1e6,
                    "growth": after / before - 1,
                    "MB with mapped files": end.processes[name].rss_bytes / 1e6,
                },
            )
        )
    return rows


async def _render(documents: Path) -> tuple[float, float]:
    """(pages/s, CPU ms of the reading processes per page) of the same documents, and nothing done with their pages."""
    wants = Wants(visual_target(NoopPages().info).budget)
    pages = 0

    async def read(reader: DocumentReader, path: Path) -> None:
        nonlocal pages
        async for page in reader.read(path, wants):
            assert not isinstance(page, Problem), page
            pages += 1

    async with DocumentReader(PROCESSES) as reader:
        paths = sorted(documents.iterdir())
        await asyncio.gather(*(read(reader, path) for path in paths[: 2 * PROCESSES]))  # they are started
        pages, began, before = 0, time.perf_counter(), _children_s()
        await asyncio.gather(*(read(reader, path) for path in paths))
        return pages / (time.perf_counter() - began), (_children_s() - before) / pages * 1e3


def _children_s() -> float:
    return sum(
        each.cpu_times().user + each.cpu_times().system for each in psutil.Process().children(recursive=True)
    )


async def _ingest(documents: Path, data: Path) -> tuple[Sample, Sample]:
    """As it was at page WARM, and at the end."""
    site = IngestSite(Settings(data=data))
    async with site.running(), site.ingest(str(documents), "--processes", str(PROCESSES)) as ingest:
        first: Sample | None = None
        last: Sample | None = None
        readers = dict[int, str]()
        async for figures in _figures(ingest):
            done = figures.get("visual", {}).get("pages_done", 0)
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                if done >= WARM and (last is None or done > last.pages):
                    # One that reads may have ended before the last page is stored: what it used then counts.
                    before = last.processes if last else {}
                    last = Sample(time.perf_counter(), done, before | _used(site, ingest.pid, readers))
                    first = first or last
        assert await ingest.wait() == 0
    assert first is not None
    assert last is not None
    return first, last


async def _figures(ingest: asyncio.subprocess.Process) -> AsyncIterator[Mapping[str, Any]]:
    assert ingest.stdout is not None
    while line := await ingest.stdout.readline():
        yield json.loads(line)


def _used(site: IngestSite, ingest_pid: int, readers: dict[int, str]) -> dict[str, Use]:
    """By name. readers: the names of the processes that read, by their ids; those that are new are added."""
    ingest = psutil.Process(ingest_pid)
    named = {"ingest": ingest, "redis": psutil.Process(site.redis.pid)}
    named |= {
        name: psutil.Process(each.pid)
        for name, each in (("worker", site.worker), ("store", site.store))
        if each.pid is not None
    }
    for each in ingest.children(recursive=True):
        if each.memory_info().rss > 20_000_000:
            named[readers.setdefault(each.pid, f"reading {len(readers) + 1}")] = each
    return {name: _use(each) for name, each in named.items()}


def _use(process: psutil.Process) -> Use:
    times, memory = process.cpu_times(), process.memory_info()
    # macOS does not tell which part is mapped from files.
    return Use(times.user + times.system, memory.rss - getattr(memory, "shared", 0), memory.rss)


# A chat beside it


async def _chat_row(folder: Path, repeats: int) -> Row:
    generator = await write_generator(str(folder))
    pages = folder / "colqwen"
    await output_of(
        "-c",
        f"from pathlib import Path; from tests.checkpoints.colqwen import make; make(Path({str(pages)!r}))",
    )
    documents = write_corpus(folder / "texts", CHAT_PAGES, only_text=True)
    alone, beside = list[float](), list[float]()
    for repeat in range(repeats):
        pipe = ParentPipe()
        settings = Settings(data=folder / f"chat{repeat}", models=(f"chat={generator}", f"pages={pages}"))
        site = IngestSite(settings, worker=worker_supervisor(settings, pipe))
        async with site.running(), _queue(settings) as queue:
            await _gaps(queue, 2)  # the first calls are slow
            alone.append(quantile_ms(await _gaps(queue, CHAT_S), 0.95))
            async with site.ingest(str(documents), "--model", "pages") as ingest:
                async for figures in _figures(ingest):
                    if figures.get("visual", {}).get("pages_done", 0) > 0:
                        break
                beside.append(quantile_ms(await _gaps(queue, CHAT_S), 0.95))
                assert ingest.returncode is None, "the ingest must last as long as the chat"
        pipe.close()
    interval_ms = Settings().token_interval_ms
    return Row(
        "chat beside pages of a small ColQwen2.5",
        {
            "gap p95 ms": median(beside),
            "of the interval": median([gap / interval_ms for gap in beside]),
            "gap p95 ms alone": median(alone),
        },
    )


@contextlib.asynccontextmanager
async def _queue(settings: Settings) -> AsyncIterator[JobQueue]:
    queue = JobQueue(connect_async(redis_url(settings)), settings)
    await queue.start()
    while not await queue.ready():
        await asyncio.sleep(0.1)
    try:
        yield queue
    finally:
        await queue.aclose()


async def _gaps(queue: JobQueue, seconds: float) -> list[float]:
    """Between the pieces of one answer after the other."""
    job = GenerateJob(
        model="chat",
        prompt=Chat((Message("user", (TextPart("tell me more"),)),)),
        sampling=Sampling(temperature=0),
        max_tokens=CHAT_TOKENS,
        stream=True,
    )
    gaps, deadline = list[float](), time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        ticket = await queue.submit(job, SubmitOptions(lane=Lane.INTERACTIVE, awaited=True))
        last: float | None = None
        async with contextlib.aclosing(queue.stream(ticket.id)) as events:
            async for _ in events:
                now = time.perf_counter()
                if last is not None:
                    gaps.append(now - last)
                last = now
                if now > deadline:
                    break
        await queue.cancel(ticket.id)
    return gaps
