"""The characters of a PDF's page with their boxes, as PDFium finds them: in the order in which they were drawn."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import Any, NamedTuple

import numpy as np
import pypdfium2.raw as pdfium
from pypdfium2 import PdfPage, PdfTextPage

FloatArray = np.ndarray[Any, np.dtype[np.float32]]

HYPHEN = "\u0002"
"""What PDFium calls a hyphen at the end of a line."""


class Glyphs(NamedTuple):
    """n characters of a page."""

    text: str
    """n characters. Those that PDFium made up (spaces between words, ends of lines) are white space."""
    boxes: FloatArray
    """(n, 4): left, top, right, bottom in points, y downwards, from the upper left corner of what is shown of the page,
    before it is turned. As high as the line, not as the letter, and as wide as the letter's advance.
    """
    width: float
    """Of what is shown of the page, in points, before it is turned."""
    height: float
    quarters: int
    """Clockwise quarters of a turn by which the page is turned when it is shown."""


def read_glyphs(page: PdfPage, text_page: PdfTextPage) -> Glyphs:
    """All characters, also those without ink (what OCR lays under a scan) or outside of what is shown."""
    count = text_page.count_chars()
    left, bottom, right, top = page.get_bbox()
    raw = _boxes(text_page, count)
    boxes = np.stack((raw[:, 0] - left, top - raw[:, 1], raw[:, 2] - left, top - raw[:, 3]), axis=1)
    return Glyphs(_text(text_page, count), boxes, right - left, top - bottom, page.get_rotation() // 90)


def _text(text_page: PdfTextPage, count: int) -> str:
    """Exactly `count` characters: the text in one piece leaves some out where it has no name for them."""
    text = text_page.get_text_range()
    if len(text) != count:
        get = pdfium.FPDFText_GetUnicode
        text = "".join(_character(get(text_page.raw, i)) for i in range(count))
    return text.replace("\ufffe", HYPHEN)


def _character(code: int) -> str:
    is_surrogate = 0xD800 <= code < 0xE000
    return "\ufffd" if not code or is_surrogate or code > 0x10FFFF else chr(code)


def _boxes(text_page: PdfTextPage, count: int) -> FloatArray:
    """(count, 4): left, top, right, bottom in the page's own coordinates, y upwards."""
    boxes = (pdfium.FS_RECTF * count)()
    for i in range(count):
        pdfium.FPDFText_GetLooseCharBox(text_page.raw, i, boxes[i])
    return np.frombuffer(memoryview(boxes).cast("B"), np.float32).reshape(count, 4)
