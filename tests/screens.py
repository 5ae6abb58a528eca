"""The pictures of the console in docs/console: `python -m tests.screens`.

They are of invented documents, drawn by a headless Chromium (tests/support/browser). `--all` makes every page, narrow
and wide, light and dark, in a folder of your own, to be looked at.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from jobs.ingests.problem import IngestProblem
from jobs.ingests.run import IngestRun, RunProgress, StageProgress
from tests.support.browser.browser import Browser, open_browser
from tests.support.console.drawn_collections import DrawnCollections
from tests.support.console.examples import example_documents
from tests.support.console.memory_ingests import MemoryIngests
from tests.support.console.server import console_app, serving
from tests.support.folders import ROOT

DOCS = ROOT / "docs" / "console"


class Screen(NamedTuple):
    """A page to be shown."""

    name: str
    path: str
    width: int = 1280
    dark: bool = False


def screens(collections: DrawnCollections) -> list[Screen]:
    """Every page of the console."""
    report, slides, *_ = collections.documents
    return [
        Screen("search", "/ui/search?q=costs+of+energy"),
        Screen("empty", "/ui/search"),
        Screen("filters", "/ui/search?q=costs&path=%2Fhome%2F&from=1&to=3&in=documents&mode=hybrid"),
        Screen("nothing", "/ui/search?q=zebra&mode=text&in=documents"),
        Screen("page", f"/ui/page/documents/{slides.id}/2?q=costs+of+energy&heat=2"),
        Screen("sheet", f"/ui/page/documents/{report.id}/2?q=sales+by+region"),
        Screen("ingest", "/ui/ingest"),
        Screen("problems", "/ui/ingest/problems?collection=documents"),
        Screen("missing", "/ui/nowhere"),
    ]


def example_ingests() -> MemoryIngests:
    """One that runs, three that ran, and what went wrong."""
    ingests, now = MemoryIngests(("/home/ada/Documents",)), time.time()
    day = 86_400
    stages = (
        StageProgress("scan", 4210, 4210, "files"),
        StageProgress("read", 1830, 5507, per_s=41.2),
        StageProgress("embed", 1790, 5507, per_s=3.31),
        StageProgress("store", 1784, 5507, per_s=3.3),
    )
    running = RunProgress(stages, "embed", 1124, 391, 12, 1, 1)
    contracts, notes = "mlxq ingest /home/ada/Contracts -c contracts", "mlxq ingest /home/ada/Notes -c notes"
    ingests.known = [
        IngestRun(4, "documents", "mlxq ingest /home/ada/Documents", now - 754, None, "running", running),
        _ended(3, "contracts", contracts, now - 2 * day, 3000, RunProgress(documents_done=212)),
        _ended(2, "notes", notes, now - 9 * day, 12, RunProgress(documents_done=31, documents_skipped=4)),
    ]
    ingests.problems_of["documents"] = (
        IngestProblem(
            "/home/ada/Documents/Taxes 2023.pdf", None, "encrypted",
            "It needs a password: put it into a file and ingest with `--password-file FILE`.", False, now,
        ),
        IngestProblem(
            "/home/ada/Documents/Scans/old.tiff", 14, "too_large",
            "The page has 40,000 × 40,000 pixels. Save it smaller.", False, now,
        ),
        IngestProblem(
            "/home/ada/Documents/日本語.pdf", 3, "no_ink",
            "The page has text, and nothing is drawn: its fonts are missing. Install them, and try again.", True, now,
        ),
    )  # fmt: skip
    return ingests


def _ended(
    run: int, collection: str, request: str, started_at: float, took_s: float, progress: RunProgress
) -> IngestRun:
    return IngestRun(run, collection, request, started_at, started_at + took_s, "done", progress)


@contextlib.contextmanager
def camera() -> Iterator[tuple[list[Screen], Callable[[Screen], Image.Image]]]:
    """The pages, and what takes a picture of one."""
    collections = DrawnCollections(example_documents())
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        app = console_app(collections, example_ingests(), Path(folder))
        with serving(app) as url:
            yield screens(collections), lambda screen: _picture(browser, url, screen)


def _picture(browser: Browser, url: str, screen: Screen) -> Image.Image:
    browser.show_as(screen.width, 860, dark=screen.dark)
    browser.open(url + screen.path)
    browser.until("!document.querySelector('[hx-trigger=load]')")
    browser.settle()
    return browser.screenshot(whole=True)


def make_docs(folder: Path) -> None:
    """The three that the documentation shows."""
    folder.mkdir(parents=True, exist_ok=True)
    with camera() as (pages, take):
        for screen in pages:
            if screen.name in ("search", "page", "ingest"):
                picture = take(screen._replace(dark=screen.name == "ingest"))
                small = picture.resize((960, round(picture.height * 0.75)), Image.Resampling.LANCZOS)
                small.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                    folder / f"{screen.name}.png", optimize=True
                )


def make_all(folder: Path) -> None:
    """Every page, 1280 and 390 pixels wide, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    with camera() as (pages, take):
        for screen in pages:
            for width in (1280, 390):
                for dark in (False, True):
                    name = f"{screen.name}-{width}-{'dark' if dark else 'light'}.png"
                    take(screen._replace(width=width, dark=dark)).save(folder / name)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.screens", description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page, to be looked at")
    options = parser.parse_args(arguments)
    if options.all:
        make_all(options.all)
    else:
        make_docs(DOCS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
