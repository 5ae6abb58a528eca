"""Pages as viewers ask for them: drawn and read in processes of their own, which a broken file may take down."""

import asyncio
import io
from collections import OrderedDict
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from PIL import Image

from ingest.documents.page import Bookmark, PageImage, Word
from ingest.documents.problem import DocumentError
from ingest.documents.reader import DocumentReader
from ingest.documents.wants import RenderBudget, Wants
from ingest.pages.files import DocumentFiles
from jobs.search.documents import DocumentInfo, PageText
from jobs.search.errors import DocumentGone, DocumentUnreadable

T = TypeVar("T")

KEPT_BYTES = 64 << 20
"""Of images that were drawn."""

FAST = 1
"""Of zlib's levels: a page takes a third of the time of the usual one, and a tenth more bytes."""

_MOVED = ("missing", "dangling", "changing", "not_a_file")

_SMALLEST = RenderBudget(max_pixels=64 * 64)


class PageViewer:
    """Every method raises DocumentGone where no path has the document any more, DocumentUnreadable."""

    def __init__(self, reader: DocumentReader, files: DocumentFiles) -> None:
        self._reader = reader
        self._files = files
        self._images: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._images_bytes = 0

    async def file(self, document: DocumentInfo) -> Path:
        """Where it lies now."""
        return await self._files.locate(document.document, document.paths)

    async def image(self, document: DocumentInfo, page: int, max_pixels: int) -> bytes:
        """A PNG."""
        key = (document.document, page, max_pixels)
        path = await self.file(document)  # also what is remembered is only shown while its file is there
        found = self._images.get(key)
        if found is None:
            drawn = await _shown(self._reader.render(path, page, RenderBudget(max_pixels)))
            found = await asyncio.to_thread(_png, drawn)
            self._keep(key, found)
        self._images.move_to_end(key)
        return found

    async def outline(self, document: DocumentInfo) -> list[Bookmark]:
        """The document's bookmarks."""
        path = await self.file(document)
        return await _shown(self._reader.outline(path))

    async def words(self, document: DocumentInfo, page: int) -> list[Word]:
        """In reading order; none where the page has no text."""
        path = await self.file(document)
        return await _shown(self._reader.words(path, page))

    async def text(self, document: DocumentInfo, page: int) -> PageText:
        """Empty where the page has none."""
        path = await self.file(document)
        found = await _shown(self._reader.page(path, page, Wants(_SMALLEST, text=True)))
        return PageText(found.text or "", has_image=found.image is not None)

    def _keep(self, key: tuple[str, int, int], image: bytes) -> None:
        if key not in self._images:  # else somebody else has drawn it meanwhile
            self._images[key] = image
            self._images_bytes += len(image)
        while self._images_bytes > KEPT_BYTES and len(self._images) > 1:
            _, oldest = self._images.popitem(last=False)
            self._images_bytes -= len(oldest)


async def _shown(reading: Awaitable[T]) -> T:
    """What was read. Raises: DocumentGone, DocumentUnreadable."""
    try:
        return await reading
    except DocumentError as error:
        kind = DocumentGone if error.problem.kind in _MOVED else DocumentUnreadable
        raise kind(error.problem.message) from error


def _png(image: PageImage) -> bytes:
    file = io.BytesIO()
    picture = Image.frombytes("RGB", (image.width, image.height), image.pixels)
    picture.save(file, "PNG", compress_level=FAST)
    return file.getvalue()
