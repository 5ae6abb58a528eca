"""10,000 pages of 736 x 128 in the embedded store: what they cost, how long searches take, what the default mode loses.

MLXQ_BENCH_PAGES=1000 takes fewer, MLXQ_BENCH_QUERIES=20 asks less. MLXQ_BENCH_PAGES=30000 also says what 100,000 would
take, if all grows with their number but what is scored exactly (it wants 16 GB in the temporary folder, and takes 7).
Beside each time of a search stands the processor time that the store took for it: that one holds on a busy machine.
All of it took 57 ms of processor time a page, for 10,000 pages and 200 queries: most of it exact searches, then numpy,
which scores each page when it is stored.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from bench.report import Row, median
from bench.vectors.made_up import DIMENSION, DOCUMENT_PAGES, GRID, MadeUp, Rows
from bench.vectors.reference import Reference
from ingest.collections.collections import Collections
from ingest.collections.contents import Part
from ingest.collections.fingerprint import Fingerprint
from ingest.collections.points import PageFacts, visual_point
from ingest.qdrant.bulk import MAX_POINTS, BulkPoint
from ingest.qdrant.connect import connect, connect_async
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.qdrant.folder import vector_folder
from ingest.search.prefetch import prefetched
from ingest.search.retrieval import Retrieval, Wanted
from jobs.process.parent_watch import ParentPipe
from jobs.settings import Settings

PAGES = int(os.environ.get("MLXQ_BENCH_PAGES", "10000"))
QUERIES = int(os.environ.get("MLXQ_BENCH_QUERIES", "200"))
LIMIT = 10
PART = Part("documents", "visual", Fingerprint("made up"), DIMENSION, 0, "documents-visual")
MANY, MORE = 30_000, 100_000
"""From so many pages on, what so many more would take is told."""

BYTES_PER_PAGE = 260_000
"""Room that is asked for."""


class Searched(NamedTuple):
    """A list of page numbers for each query, best first, and how long each took."""

    pages: list[list[int]]
    scores: list[list[float]]
    wall_s: list[float]
    cpu_s: list[float]


async def measure(repeats: int) -> list[Row]:
    """One run, whatever `repeats`: 200 queries are their own repeats."""
    return await asyncio.to_thread(of_pages, PAGES)


def of_pages(count: int) -> list[Row]:
    """The figures of that many pages. Raises: SystemExit where the disk has no room."""
    made = MadeUp()
    about = np.random.default_rng(5).integers(0, count, QUERIES).tolist()
    queries = [made.query(number, page) for number, page in enumerate(about)]
    reference = Reference(queries, count)
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as folder:
        _check_room(folder, count)
        settings = Settings(data=Path(folder))
        with store(settings) as process:
            stored = _fill(settings, made, count, process, reference)
        begun = time.perf_counter()
        with store(settings) as process:
            with contextlib.closing(connect(settings)) as client:
                there = client.count("documents-visual").count
            reopened = {"s": time.perf_counter() - begun, "s of CPU": _cpu(process)}
            default, exact = asyncio.run(_search(settings, queries, process))
            own_mb = _own_bytes(process) / 1e6
    further = [extrapolated(default, exact, count, reopened, stored, own_mb)] if count >= MANY else []
    return [
        Row(f"{there:,} pages stored", stored),
        Row("reopened, to the first answer", reopened),
        Row("memory after all searches", {"MB": own_mb}),
        Row("default", {**_times(default), **_quality(default, exact, about)}),
        Row("exact", {**_times(exact), **_quality(exact, exact, about)}),
        Row(f"exact against numpy, {QUERIES} queries", _agreement(exact, reference.best(LIMIT))),
        *further,
    ]


def extrapolated(
    default: Searched,
    exact: Searched,
    count: int,
    reopened: dict[str, float],
    stored: dict[str, float],
    own_mb: float,
) -> Row:
    """What MORE pages would take: as much more as there are more of them, but for the pages that are scored exactly."""
    factor, times = (
        MORE / count,
        {name: median(one.cpu_s) for name, one in (("default", default), ("exact", exact))},
    )
    scored, scored_then = (
        times["exact"] / count * (pages.by_tiles if (pages := prefetched(each, LIMIT)) else 0)
        for each in (count, MORE)
    )
    return Row(
        f"{MORE:,} pages, extrapolated",
        {
            "default, s of CPU": (times["default"] - scored) * factor + scored_then,
            "exact, s of CPU": times["exact"] * factor,
            "reopened, s of CPU": reopened["s of CPU"] * factor,
            "GB on the disk": stored["KB a page on the disk"] * MORE / 1e6,
            "GB of memory at most": own_mb * factor / 1e3,
            "stored, minutes of the store's CPU": stored["store's CPU ms a page"] * MORE / 60e3,
        },
    )


@contextlib.contextmanager
def store(settings: Settings) -> Generator[psutil.Process]:
    """The store's process, which answers."""
    pipe = ParentPipe()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli.store_process", "--parent-fd", f"{pipe.read_fd}"],
        env={**os.environ, "MLXQ_DATA": str(settings.data)}, pass_fds=[pipe.read_fd],
    )  # fmt: skip
    try:
        while not vector_folder(settings).is_served():
            time.sleep(0.01)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait()
        pipe.close()


def _check_room(folder: str, pages: int) -> None:
    wanted, free = pages * BYTES_PER_PAGE, shutil.disk_usage(folder).free
    if free < 2 * wanted:
        raise SystemExit(
            f"{pages:,} pages need {wanted >> 20:,} MiB in {folder}, twice at times; {free >> 20:,} are free."
        )


def _fill(
    settings: Settings, made: MadeUp, count: int, process: psutil.Process, reference: Reference
) -> dict[str, float]:
    spent, upserting = _cpu(process), 0.0
    with (
        contextlib.closing(connect(settings)) as client,
        contextlib.closing(EmbeddedWriter(settings)) as writer,
    ):
        collections = Collections(client, writer)
        collections.ensure("documents", "visual", DIMENSION, Fingerprint("made up"))
        for start in range(0, count, MAX_POINTS):
            pages = {number: made.page(number) for number in range(start, min(count, start + MAX_POINTS))}
            points = [_point(number, page) for number, page in pages.items()]
            begun = time.perf_counter()
            collections.upsert("documents", "visual", points)
            upserting += time.perf_counter() - begun
            for number, page in pages.items():
                reference.add(number, page)
    return {
        "pages/s": count / upserting,
        "store's CPU ms a page": (_cpu(process) - spent) / count * 1e3,
        "KB a page on the disk": _disk_bytes(settings.data) / count / 1e3,
    }


def _point(number: int, page: Rows) -> BulkPoint:
    document = f"{number // DOCUMENT_PAGES:064x}"
    facts = PageFacts(
        document, (f"/{document}.pdf",), number % DOCUMENT_PAGES + 1, f"{number}", "2026-01-01T00:00:00+00:00"
    )
    return visual_point(facts, page, [GRID])


async def _search(
    settings: Settings, queries: list[Rows], process: psutil.Process
) -> tuple[Searched, Searched]:
    """By default and exactly, in turns, so that both see the same machine."""
    client = connect_async(settings)
    retrieval = Retrieval(client)
    default, exact = Searched([], [], [], []), Searched([], [], [], [])
    for warm in (True, False):
        for query in queries[:3] if warm else queries:
            for one, is_exact in ((default, False), (exact, True)):
                begun, spent = time.perf_counter(), _cpu(process)
                found = await retrieval.visual(PART, query, Wanted(LIMIT), exact=is_exact)
                if not warm:
                    one.wall_s.append(time.perf_counter() - begun)
                    one.cpu_s.append(_cpu(process) - spent)
                    one.pages.append([int(hit.label) for hit in found])
                    one.scores.append([hit.score for hit in found])
    await client.close()
    return default, exact


def _times(searched: Searched) -> dict[str, float]:
    return {"p50 ms": median(searched.wall_s) * 1e3, "p50 ms of CPU": median(searched.cpu_s) * 1e3}


def _quality(searched: Searched, exact: Searched, about: list[int]) -> dict[str, float]:
    """In how far the lists are the exact ones, and hold the pages that were asked for."""
    pairs = list(zip(searched.pages, exact.pages, strict=True))
    shared = [len(set(one) & set(other)) / len(other) for one, other in pairs]
    first = [one[:1] == other[:1] for one, other in pairs]
    asked = [page in one for page, one in zip(about, searched.pages, strict=True)]
    return {
        "overlap@10": float(np.mean(shared)),
        "same first": float(np.mean(first)),
        "asked page in 10": float(np.mean(asked)),
    }


def _agreement(exact: Searched, numpys: list[list[tuple[float, int]]]) -> dict[str, float]:
    """Pages whose scores differ by less than the store's rounding may change places."""
    same = [found == [page for _, page in best] for found, best in zip(exact.pages, numpys, strict=True)]
    apart = [
        max(abs(score - expected) for score, (expected, _) in zip(scores, best, strict=True))
        for scores, best in zip(exact.scores, numpys, strict=True)
    ]
    return {"same ten in order": float(np.sum(same)), "largest difference of scores": max(apart)}


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _own_bytes(process: psutil.Process) -> int:
    """Resident, without what is mapped from files, which the system may drop (macOS does not tell those apart)."""
    memory = process.memory_info()
    return memory.rss - getattr(memory, "shared", 0)


def _disk_bytes(folder: Path) -> int:
    return sum(each.stat().st_blocks * 512 for each in folder.rglob("*") if each.is_file())
