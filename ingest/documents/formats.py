"""Which format a file has, by its content, and what opens it."""

from collections.abc import Callable
from typing import NamedTuple

from ingest.documents.images.document import ImageDocument
from ingest.documents.images.kinds import KINDS
from ingest.documents.opened import OpenedDocument
from ingest.documents.pdf.document import Pdf, is_pdf
from ingest.documents.problem import DocumentError
from ingest.documents.source import Source
from ingest.documents.texts import epub
from ingest.documents.texts.content import is_text
from ingest.documents.texts.csv_rows import is_csv, open_csv
from ingest.documents.texts.html import is_html, open_html
from ingest.documents.texts.office import docx, pptx
from ingest.documents.texts.office.ole import is_ole, refuse_ole
from ingest.documents.texts.plain import is_markdown, open_markdown, open_plain
from ingest.documents.texts.zip_content import ZipContent, is_zip


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


def _has_part(name: str) -> Callable[[Source], bool]:
    """Whether it is an archive with such a part."""

    def matches(source: Source) -> bool:
        if not is_zip(source):
            return False
        try:
            with ZipContent(source) as content:
                return name in content.names
        except DocumentError:
            return False

    return matches


FORMATS: tuple[Format, ...] = (
    *map(_image_format, KINDS),
    Format("PDF", is_pdf, Pdf),
    Format("DOCX", _has_part(docx.BODY), docx.open_docx),
    Format("PPTX", _has_part(pptx.PRESENTATION), pptx.open_pptx),
    Format("EPUB", _has_part(epub.CONTAINER), epub.open_epub),
    Format("older office documents", is_ole, refuse_ole),
    Format("HTML", is_html, open_html),
    Format("CSV", is_csv, open_csv),
    Format("Markdown", is_markdown, open_markdown),
    Format("plain text", is_text, open_plain),
)
"""Those that are surely told apart come first, plain text last."""


def open_document(source: Source, passwords: tuple[str, ...]) -> OpenedDocument:
    """Raises: DocumentError."""
    for each in FORMATS:
        if each.matches(source):
            return each.open(source, passwords)
    names = ", ".join(each.name for each in FORMATS)
    raise DocumentError("unsupported", f"Its content is of no format that is read ({names}).")
