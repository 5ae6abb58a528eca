"""Pages drawn by reading processes, against PDFium alone in one process; and whether those processes grow."""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.ingest.corpus import write_corpus
from bench.ingest.manuals import manuals
from bench.report import Row, median
from bench.stack import output_of
from ingest.documents.page import Page
from ingest.documents.reader import DocumentReader
from ingest.documents.wants import Wants
from tests.support.documents.reading import COLQWEN

MIXED_PAGES = 2_000
WARM = 500
"""Pages of a process after which its memory is to stay as it is."""


class Run(NamedTuple):
    """All pages once."""

    pages_per_s: float
    cpu_ms: float
    """Of one page, all processes together."""
    growth: float = 0
    """Of the process that grew most: its memory in the end, above what it was when it was warm."""
    most_mb: float = 0
    """Of the largest process at any time."""


async def measure(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        mixed = sorted(write_corpus(Path(folder), MIXED_PAGES).glob("*.pdf"))
        return [
            row
            for name, paths in (("r-doc-pdf", manuals("r-doc-pdf")), ("mixed", mixed))
            for row in await compare(name, paths, repeats)
        ]


async def compare(name: str, paths: Sequence[Path], repeats: int) -> list[Row]:
    """Ways take turns, so that all have the same machine."""
    bare, one, two = list[Run](), list[Run](), list[Run]()
    for _ in range(repeats):
        bare.append(await alone(paths))
        one.append(await read(paths, 1))
        two.append(await read(paths, 2))
    return [
        _row(f"{name}, PDFium alone", bare, bare),
        _row(f"{name}, one process", one, bare),
        _row(f"{name}, two processes", two, bare),
    ]


async def alone(paths: Sequence[Path]) -> Run:
    figures = json.loads(await output_of("-m", "bench.ingest.bare_rendering", *map(str, paths)))
    return Run(figures["pages"] / figures["wall_s"], 1e3 * figures["cpu_s"] / figures["pages"])


async def read(paths: Sequence[Path], processes: int) -> Run:
    """As the pipeline does: as many documents at once as there are processes."""
    memory = Memory()
    async with DocumentReader(processes) as reader:
        await asyncio.gather(*(reader.page_count(paths[0]) for _ in range(processes)))
        ours = [psutil.Process(), *psutil.Process().children()]
        before = sum(sum(each.cpu_times()[:2]) for each in ours)
        todo = sorted(paths, key=lambda path: path.stat().st_size)  # the largest is taken first
        pages = 0

        async def work() -> None:
            nonlocal pages
            while todo:
                async for each in reader.read(todo.pop(), Wants(COLQWEN)):
                    assert isinstance(each, Page) and each.image is not None, each
                    pages += 1
                    if pages % 50 == 0:
                        memory.look(pages, ours[1:])

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(processes)))
        wall = time.perf_counter() - started
        cpu = sum(sum(each.cpu_times()[:2]) for each in ours) - before
        memory.look(pages, ours[1:])
    return Run(pages / wall, 1e3 * cpu / pages, memory.growth, memory.most_bytes / 1e6)


class Memory:
    """Of the reading processes, over time."""

    def __init__(self) -> None:
        self._warm: dict[int, int] = {}
        self._now: dict[int, int] = {}
        self.most_bytes = 0

    def look(self, pages: int, processes: Sequence[psutil.Process]) -> None:
        for each in processes:
            now = self._now[each.pid] = each.memory_info().rss
            self.most_bytes = max(self.most_bytes, now)
            if pages >= WARM * len(processes):
                self._warm.setdefault(each.pid, now)

    @property
    def growth(self) -> float:
        return max(self._now[pid] / warm for pid, warm in self._warm.items()) - 1


def _row(what: str, runs: Sequence[Run], bare: Sequence[Run]) -> Row:
    figures = {
        "pages/s": median([run.pages_per_s for run in runs]),
        "of PDFium alone": median(
            [run.pages_per_s / other.pages_per_s for run, other in zip(runs, bare, strict=True)]
        ),
        "CPU ms a page": median([run.cpu_ms for run in runs]),
    }
    if runs[0].most_mb:
        figures |= {
            "MB at most": max(run.most_mb for run in runs),
            f"growth from page {WARM} on": max(run.growth for run in runs),
        }
    return Row(what, figures)
