"""Which format a file has, by its content, and what opens it."""

from collections.abc import Callable
from typing import NamedTuple

from ingest.documents.images.document import ImageDocument
from ingest.documents.images.kinds import KINDS
from ingest.documents.opened import OpenedDocument
from ingest.documents.pdf.document import Pdf, is_pdf
from ingest.documents.problem import DocumentError
from ingest.documents.source import Source


class Format(NamedTuple):
    """A format of documents."""

    name: str
    matches: Callable[[Source], bool]
    """Called in the order of the table; cheap, and no error whatever the content is."""
    open: Callable[[Source, tuple[str, ...]], OpenedDocument]
    """From the content and passwords. Raises DocumentError."""


def _image_format(kind: str) -> Format:
    def matches(source: Source) -> bool:
        return KINDS[kind](source.head)

    def opened(source: Source, _passwords: tuple[str, ...]) -> OpenedDocument:
        return ImageDocument(kind, source)

    return Format(kind, matches, opened)


FORMATS: tuple[Format, ...] = (
    *map(_image_format, KINDS),
    Format("PDF", is_pdf, Pdf),
)
"""Those that are surely told apart come first, plain text last."""


def open_document(source: Source, passwords: tuple[str, ...]) -> OpenedDocument:
    """Raises: DocumentError."""
    for each in FORMATS:
        if each.matches(source):
            return each.open(source, passwords)
    names = ", ".join(each.name for each in FORMATS)
    raise DocumentError("unsupported", f"Its content is of no format that is read ({names}).")
