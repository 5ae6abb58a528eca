"""Marks and heatmaps on real PDFs, whichever way their pages are turned: from the store to the screen's pixels."""

import contextlib
import hashlib
import itertools
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.ui.context import ConsoleParts
from cli.api_process.collections import LateCollections
from ingest.collections.collections import Collections
from ingest.collections.fingerprint import Fingerprint
from ingest.collections.points import PageFacts, visual_point
from ingest.qdrant.connect import connect
from ingest.qdrant.embedded_writer import EmbeddedWriter
from jobs.blobs.folder import BlobFolder
from jobs.embed import PatchGrid
from jobs.settings import Settings
from tests.integration.ui.pixels import darkness, redness, sheet_of, yellowness
from tests.support.browser.browser import Browser, open_browser
from tests.support.console.memory_ingests import MemoryIngests
from tests.support.console.server import serving
from tests.support.documents.pdf import PdfPage, Text, pdf
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.documents import NOW, store_in
from tests.support.vectors.word_queue import DIMENSIONS, PAGE_MODEL, WordQueue, word_vector

WORDS = {
    "alpha": Text("alpha", 20, 60, 30),
    "beta": Text("beta", 300, 560, 30),
    "gamma": Text("gamma", 150, 200, 30),
}
SIZE = (400.0, 600.0)
TURNS = (0, 90, 180, 270)
PAGES = [PdfPage(list(WORDS.values()), SIZE, turn) for turn in TURNS]
PAGES.append(PdfPage(list(WORDS.values()), SIZE, 90, crop=(10, 20, 395, 590)))
"""Page 5 shows a part of itself."""


class Library(NamedTuple):
    """Where the document is shown."""

    browser: Browser
    page: str
    """The viewer's address, without the number of the page."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("turned")
    path = folder / "turned.pdf"
    path.write_bytes(pdf(PAGES))
    document = hashlib.sha256(path.read_bytes()).hexdigest()
    with store_in(folder / "data") as settings:
        store(settings, document, path)
        with serving(app_over(settings, folder)) as url, open_browser() as browser:
            yield Library(browser, f"{url}/ui/page/papers/{document}")


def app_over(settings: Settings, folder: Path) -> FastAPI:
    """The console over that store, with a queue whose models know words."""
    queue: Any = WordQueue()
    collections = LateCollections(settings, queue)
    parts = ConsoleParts(MemoryIngests(), BlobFolder(folder / "blobs"))
    app = create_app(MemoryQueue(), settings, None, collections, parts)
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(inside: FastAPI) -> AsyncGenerator[object]:
        async with inner(inside) as state:
            yield state
        await collections.aclose()

    app.router.lifespan_context = lifespan  # pyright: ignore[reportAttributeAccessIssue]
    return app


def store(settings: Settings, document: str, path: Path) -> None:
    """Each patch is like the word that lies on it."""
    with (
        contextlib.closing(EmbeddedWriter(settings)) as writer,
        contextlib.closing(connect(settings)) as client,
    ):
        collections = Collections(client, writer)
        collections.ensure("papers", "visual", DIMENSIONS, Fingerprint(PAGE_MODEL.id, PAGE_MODEL.digest))
        for number, page in enumerate(PAGES, 1):
            rows, columns = (15, 10) if page.rotation % 180 == 0 else (10, 15)
            facts = PageFacts(document, (str(path),), number, "", NOW)
            vectors = patches(page, rows, columns)
            collections.upsert(
                "papers", "visual", [visual_point(facts, vectors, [PatchGrid(0, rows, columns)])]
            )


def patches(page: PdfPage, rows: int, columns: int) -> np.ndarray:
    """Row by row from the top left of the page as it is shown: (rows * columns, dimensions)."""
    found = [word_vector("<blank>")] * (rows * columns)
    for word, text in WORDS.items():
        left, top, right, bottom = page.box(text)
        for row, column in itertools.product(range(rows), range(columns)):
            across = left < (column + 1) / columns and right > column / columns
            if across and top < (row + 1) / rows and bottom > row / rows:
                found[row * columns + column] = word_vector(word)
    return np.stack(found)


@pytest.mark.parametrize("number", range(1, 6))
def test_marks_and_heat_lie_on_the_words_of_a_turned_page(library: Library, number: int):
    browser, page = library.browser, PAGES[number - 1]
    browser.show_as(1280 if page.rotation % 180 else 900, 2000)

    browser.open(f"{library.page}/{number}?q=alpha+beta&heat=1")
    heat = sheet_of(browser)
    browser.click(".words a")  # no heatmap
    marks = sheet_of(browser)

    assert marks.pixels.shape[1] > marks.pixels.shape[0] if page.rotation % 180 else True
    for word, text in WORDS.items():
        box = page.box(text)
        assert (darkness(marks.within(box)) > 120).mean() > 0.03, word  # its ink is there
        assert ((yellowness(marks.within(box)) > 100).mean() > 0.4) == (word in ("alpha", "beta")), word
        assert (redness(heat.within(box)).mean() > 50) == (word == "beta"), word
