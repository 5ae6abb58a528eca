"""The text of real manuals: how long a page takes, and whether what their bookmarks lead to is found on its page."""

import time
from pathlib import Path

from bench.report import Row
from ingest.documents.canvas import Canvas
from ingest.documents.formats import open_document
from ingest.documents.pdf.headings import comparable
from ingest.documents.source import open_source
from ingest.documents.wants import Wants

MANUALS = {
    "fullrefman (English)": Path("/usr/share/R/doc/manual/fullrefman.pdf"),
    "R-exts (English)": Path("/usr/share/R/doc/manual/R-exts.pdf"),
    "debian-reference.ja": Path("/usr/share/debian-reference/debian-reference.ja.pdf"),
}
"""Of the Debian packages r-doc-pdf and debian-reference-ja."""

NOTHING = Canvas(memoryview(bytearray()))


async def measure(repeats: int) -> list[Row]:
    """Once, whatever `repeats` is: thousands of pages are repeats enough."""
    return [_row(name, path) for name, path in MANUALS.items() if path.exists()] or [
        Row("apt-get install r-doc-pdf debian-reference-ja", {})
    ]


def _row(name: str, path: Path) -> Row:
    document = open_document(open_source(path), ())
    bookmarks = document.outline()
    begin, texts = time.process_time(), list[str]()
    for number in range(1, document.page_count + 1):
        texts.append(document.read(number, Wants(text=True), NOTHING).text or "")
    taken_ms = (time.process_time() - begin) * 1e3 / len(texts)
    document.close()
    found = [comparable(bookmark.title) in comparable(texts[bookmark.page - 1]) for bookmark in bookmarks]
    return Row(
        name,
        {
            "pages": len(texts),
            "CPU ms/page": taken_ms,
            "characters/page": sum(map(len, texts)) / len(texts),
            "bookmarks": len(found),
            "titles on their page %": 100 * sum(found) / len(found),
        },
    )
