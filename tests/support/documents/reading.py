"""Documents read in this process, for tests of what cannot take it down."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.documents.canvas import Canvas
from ingest.documents.fitting import room
from ingest.documents.formats import open_document
from ingest.documents.opened import OpenedDocument
from ingest.documents.page import Page
from ingest.documents.source import open_source
from ingest.documents.wants import RenderBudget, Wants

COLQWEN = RenderBudget(768 * 28 * 28, multiple_of=28)

Picture = NDArray[np.uint8]
"""(height, width, 3)"""


@contextmanager
def opened(path: Path, *passwords: str) -> Iterator[OpenedDocument]:
    document = open_document(open_source(path), passwords)
    try:
        yield document
    finally:
        document.close()


def read_page(
    path: Path, number: int = 1, budget: RenderBudget = COLQWEN, passwords: tuple[str, ...] = ()
) -> tuple[Page, Picture]:
    with opened(path, *passwords) as document:
        canvas = Canvas(memoryview(bytearray(room(budget))))
        page = document.read(number, Wants(budget), canvas)
        assert canvas.size is not None
        width, height = canvas.size
        return page, np.array(canvas.pixels).reshape(height, width, 3)
