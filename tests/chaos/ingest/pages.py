"""What an ingest must have made of a folder: found out without queue, store or manifest."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bench.ingest.noop_pages import NoopPages, content_digest
from ingest.documents.page import Page
from ingest.documents.reader import DocumentReader
from ingest.documents.wants import Wants
from ingest.pipeline.work import visual_target
from jobs.blobs.blob import raw_image


class PageRef(NamedTuple):
    """A page of a document, which is the SHA-256 of its content."""

    document: str
    page: int


async def expected_pages(files: Iterable[Path]) -> dict[PageRef, str]:
    """Every page, with the digest by which the embedder that computes nothing knows it."""
    wants = Wants(visual_target(NoopPages().info).budget)
    found: dict[PageRef, str] = {}
    async with DocumentReader(1) as reader:
        for path in files:
            document = hashlib.sha256(path.read_bytes()).hexdigest()
            async for page in reader.read(path, wants):
                assert isinstance(page, Page), page
                assert page.image is not None
                image = raw_image(page.image.width, page.image.height, page.image.pixels)
                found[PageRef(document, page.number)] = content_digest(b"".join(image.pieces))
    assert len(set(found.values())) == len(found), "no page may be like another"
    return found
