"""Texts read in this process."""

from pathlib import Path

from ingest.documents.canvas import Canvas
from ingest.documents.page import Page
from ingest.documents.wants import Wants
from tests.support.documents.reading import opened


def pages_of(path: Path, content: bytes) -> list[Page]:
    """The pages of the content, once it is written to the path."""
    path.write_bytes(content)
    with opened(path) as document:
        canvas = Canvas(memoryview(bytearray()))
        return [
            document.read(number, Wants(text=True), canvas) for number in range(1, document.page_count + 1)
        ]
