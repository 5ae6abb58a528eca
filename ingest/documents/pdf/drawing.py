"""Drawing a page of a PDF."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import ctypes
import math

import numpy as np
import pypdfium2.raw as pdfium
from pypdfium2 import PdfPage

from ingest.documents.canvas import Canvas
from ingest.documents.fitting import drawn_size
from ingest.documents.problem import DocumentError
from ingest.documents.wants import RenderBudget

_FLAGS = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER  # RGB instead of BGR
_WHITE = 0xFFFFFFFF
_SAMPLED = 997
"""Every so manieth byte tells most pages with ink from blank ones."""


def draw(page: PdfPage, budget: RenderBudget, canvas: Canvas) -> None:
    """The page as it is shown: turned, on white, its forms filled in. However large it says it is, the picture takes
    no more memory than the budget. Raises: DocumentError.
    """
    width_pt, height_pt = page.get_size()
    if not (0 < width_pt < math.inf and 0 < height_pt < math.inf):
        raise DocumentError("unreadable", f"It says that it is {width_pt} * {height_pt} points large.")
    width, height = drawn_size(width_pt, height_pt, budget)
    area = canvas.area(width, height)
    pixels = (ctypes.c_ubyte * len(area)).from_buffer(area)
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_BGR, pixels, width * 3)
    if not bitmap:
        raise DocumentError("unreadable", f"PDFium refuses a picture of {width} * {height} pixels.")
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, _WHITE)
        pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, _FLAGS)
        if page.formenv:
            pdfium.FPDF_FFLDraw(page.formenv, bitmap, page, 0, 0, width, height, 0, _FLAGS)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)


def is_blank(canvas: Canvas) -> bool:
    """Whether the picture is of one colour."""
    pixels = np.frombuffer(canvas.pixels, np.uint8)
    return all(part.min() == part.max() for part in (pixels[::_SAMPLED], pixels))


def has_visible_text(page: PdfPage) -> bool:
    """Whether there is text within the page's edges."""
    text = page.get_textpage()
    try:
        return bool(text.get_text_bounded().strip())
    finally:
        text.close()
