"""A PDF's bookmarks and the names of its pages."""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from itertools import islice

from pypdfium2 import PdfDocument

from ingest.documents.page import Bookmark

MAX_BOOKMARKS = 100_000


def read_outline(pdf: PdfDocument) -> list[Bookmark]:
    """In the document's order. Those that lead to no page of it, or have no title, are left out."""
    found = list[Bookmark]()
    for bookmark in islice(pdf.get_toc(), MAX_BOOKMARKS):
        title = " ".join(bookmark.get_title().split())
        destination = bookmark.get_dest()
        index = destination.get_index() if destination else None
        if title and index is not None and index < len(pdf):
            found.append(Bookmark(title, index + 1, bookmark.level))
    return found


def page_label(pdf: PdfDocument, index: int) -> str:
    """ "iv" or "A-3"; the page's number, from 1, where the document does not name it."""
    return pdf.get_page_label(index).strip() or str(index + 1)
