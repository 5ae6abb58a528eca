"""A PDF page's text, and its words with their places."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import NamedTuple

import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument, PdfPage

from ingest.documents.layout.box import Box, turned, union
from ingest.documents.layout.script import is_spaceless
from ingest.documents.layout.text import LaidOut, lay_out
from ingest.documents.layout.word import PlacedWord
from ingest.documents.page import Bookmark, Heading, Word
from ingest.documents.pdf.glyphs import Glyphs, read_glyphs
from ingest.documents.pdf.headings import bookmarked, larger
from ingest.documents.pdf.placed_words import placed_words
from ingest.documents.printable import printable, unprintable_share
from ingest.documents.problem import Problem

BELOW_BOOKMARKS = 100
"""Level of a heading that was found by the size of its letters, in a document that has bookmarks."""
MAX_UNPRINTABLE = 0.2
"""Share of a page's characters. With more, its fonts do not say which letters they draw."""

UNPRINTABLE = (
    "Its fonts do not say which letters they draw, so its text cannot be found. A visual collection finds it by its "
    "picture; for a text collection, export the file again or put it through OCR."
)


class PageText(NamedTuple):
    text: str | None
    """In reading order. None where the page's characters are not letters that anybody could search for."""
    headings: tuple[Heading, ...] = ()
    warnings: tuple[Problem, ...] = ()


def read_text(page: PdfPage, bookmarks: Sequence[Bookmark] = (), *, has_outline: bool = False) -> PageText:
    """bookmarks: those that lead to the page. has_outline: other pages have some.

    Values of form fields are text `with_fields`.
    """
    _, laid_out = _read(page)
    if unprintable_share(laid_out.text) > MAX_UNPRINTABLE:
        return PageText(None, (), (Problem("unprintable_text", UNPRINTABLE),))
    if bookmarks:
        headings = bookmarked(bookmarks, laid_out.lines)
    else:
        headings = larger(laid_out.lines, level=BELOW_BOOKMARKS if has_outline else 0)
    return PageText(printable(laid_out.text), tuple(headings))


def read_words(page: PdfPage) -> list[Word]:
    """In reading order, with the place of each in the text that `read_text` gives. In scripts without spaces each
    character is a word, so that what is found there can be shown.
    """
    glyphs, laid_out = _read(page)
    return [
        _word(glyphs, start + first, word, first, last)
        for start, word in laid_out.words
        for first, last in _parts(word.text)
    ]


@contextmanager
def with_fields(pdf: PdfDocument, page: PdfPage, index: int) -> Generator[PdfPage]:
    """The page with the values of its form fields in its content, where the document has a form: it is drawn
    differently afterwards, but looks the same.
    """
    if not page.formenv or page.flatten() != pdfium.FLATTEN_SUCCESS:
        yield page
    else:
        with closing(pdf[index]) as again:
            yield again


def _read(page: PdfPage) -> tuple[Glyphs, LaidOut]:
    with closing(page.get_textpage()) as text_page:
        glyphs = read_glyphs(page, text_page)
        words = placed_words(glyphs, lambda i: pdfium.FPDFText_GetCharAngle(text_page.raw, i))
    return glyphs, lay_out(words)


def _parts(text: str) -> list[tuple[int, int]]:
    """First and last character (exclusive) of what is highlighted as one."""
    inner = [i for i in range(1, len(text)) if is_spaceless(text[i - 1]) or is_spaceless(text[i])]
    return list(pairwise([0, *inner, len(text)]))


def _word(glyphs: Glyphs, start: int, word: PlacedWord, first: int, last: int) -> Word:
    box = union(Box(*map(float, row)) for row in glyphs.boxes[word.first + first : word.first + last])
    shares = Box(
        box.left / glyphs.width, box.top / glyphs.height, box.right / glyphs.width, box.bottom / glyphs.height
    )
    left, top, right, bottom = (min(1.0, max(0.0, share)) for share in turned(shares, glyphs.quarters, 1, 1))
    return Word(printable(word.text[first:last]), left, top, right, bottom, start)
