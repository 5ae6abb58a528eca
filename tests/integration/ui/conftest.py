from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.browser.browser import Browser, open_browser
from tests.support.console.drawn_collections import DrawnCollections
from tests.support.console.examples import example_documents
from tests.support.console.memory_ingests import MemoryIngests
from tests.support.console.server import console_app, serving


class Shown(NamedTuple):
    """The console in a browser."""

    browser: Browser
    url: str
    collections: DrawnCollections
    ingests: MemoryIngests

    def open(self, path: str) -> Browser:
        self.browser.open(self.url + path)
        return self.browser


@pytest.fixture(scope="module")
def _browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def _console(tmp_path_factory: pytest.TempPathFactory, _browser: Browser) -> Iterator[Shown]:
    folder: Path = tmp_path_factory.mktemp("console")
    collections, ingests = DrawnCollections(), MemoryIngests()
    with serving(console_app(collections, ingests, folder)) as url:
        yield Shown(_browser, url, collections, ingests)


@pytest.fixture
def shown(_console: Shown) -> Iterator[Shown]:
    """With the example documents, at 1280 by 900, in light colours. No page may complain or ask others for anything."""
    _console.collections.documents[:] = example_documents()
    _console.collections.failures.clear()
    _console.collections.asked.clear()
    _console.ingests.known.clear()
    _console.ingests.allowed = ("/home/ada/Documents",)
    browser = _console.browser
    browser.show_as(1280, 900)
    browser.complaints.clear()
    browser.requested.clear()
    yield _console
    assert browser.complaints == []
    assert [each for each in browser.requested if not each.startswith((_console.url, "data:image/png"))] == []
