"""PDFs of content streams, so that a test says exactly what is drawn where and in which order."""

from collections.abc import Mapping, Sequence

from tests.support.documents.pdf import Field, PdfPage, pdf

HELVETICA = "/Type /Font /Subtype /Type1 /BaseFont /Helvetica"


def text_at(x: float, y: float, text: str, size: float = 12, matrix: str = "1 0 0 1", mode: int = 0) -> str:
    """Draws text with its baseline's beginning at (x, y), from the lower left corner of the page. matrix: its first
    four numbers; mode 3: without ink.
    """
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT {mode} Tr /F1 {size} Tf {matrix} {x} {y} Tm ({escaped}) Tj ET\n"


class PdfPages:
    """Pages one after the other, then `file()`."""

    def __init__(self) -> None:
        self._pages = list[PdfPage]()
        self._labels: Mapping[int, str] = {}
        self._bookmarks = list[tuple[str, int]]()

    def page(
        self,
        content: str = "",
        *,
        media: Sequence[float] = (0, 0, 600, 800),
        crop: tuple[float, float, float, float] | None = None,
        rotate: int = 0,
    ) -> "PdfPages":
        left, bottom, right, top = media
        size, origin = (right - left, top - bottom), (left, bottom)
        drawing = content.encode("cp1252")
        self._pages.append(PdfPage(size=size, rotation=rotate, crop=crop, drawing=drawing, origin=origin))
        return self

    def field(self, value: str, box: tuple[float, float, float, float]) -> "PdfPages":
        """A text field with a value on the last page. box: left, bottom, right, top, from its lower left corner."""
        left, bottom, right, top = box
        page = self._pages.pop()
        field = Field(value, left, page.size[1] - top, right - left, top - bottom)
        self._pages.append(page._replace(fields=(*page.fields, field)))
        return self

    def labels(self, styles: Mapping[int, str]) -> "PdfPages":
        """From a page's index on, as `pdf` takes them."""
        self._labels = styles
        return self

    def bookmark(self, title: str, page: int) -> "PdfPages":
        """page: from 1."""
        self._bookmarks.append((title, page))
        return self

    def file(self, font: str = HELVETICA) -> bytes:
        return pdf(self._pages, labels=self._labels, bookmarks=self._bookmarks, font=font)
