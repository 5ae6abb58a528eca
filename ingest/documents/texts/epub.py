"""E-books: a chapter is a page."""

import posixpath
from urllib.parse import unquote

from ingest.documents.problem import DocumentError
from ingest.documents.source import Source
from ingest.documents.texts.document import TextDocument
from ingest.documents.texts.encoding import decode
from ingest.documents.texts.html import add_html
from ingest.documents.texts.pages import TextPages
from ingest.documents.texts.zip_content import ZipContent

CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_HTML = ("application/xhtml+xml", "text/html")


def open_epub(source: Source, _passwords: tuple[str, ...]) -> TextDocument:
    """Chapters in the order in which they are read. Raises: DocumentError."""
    pages = TextPages()
    with ZipContent(source) as content:
        locked = _encrypted(content)
        for chapter in _chapters(content):
            if chapter in locked:
                raise DocumentError(
                    "encrypted", "It is protected against copying (DRM): its text cannot be read."
                )
            if chapter in content.names:
                add_html(pages, decode(content.read(chapter))[0])
                pages.end_page()
    return TextDocument(pages.pages())


def _chapters(content: ZipContent) -> list[str]:
    """Their names in the archive."""
    root = next(
        (each.get("full-path", "") for each in content.xml(CONTAINER).iter() if _is(each.tag, "rootfile")), ""
    )
    package = content.xml(root)
    files = {
        each.get("id"): posixpath.normpath(
            posixpath.join(posixpath.dirname(root), unquote(each.get("href", "")))
        )
        for each in package.iter()
        if _is(each.tag, "item") and each.get("media-type") in _HTML
    }
    order = [each.get("idref") for each in package.iter() if _is(each.tag, "itemref")]
    return [files[name] for name in order if name in files]


def _encrypted(content: ZipContent) -> frozenset[str]:
    """Names of what is encrypted: often only fonts are."""
    if _ENCRYPTION not in content.names:
        return frozenset()
    return frozenset(
        unquote(each.get("URI", ""))
        for each in content.xml(_ENCRYPTION).iter()
        if _is(each.tag, "CipherReference")
    )


def _is(tag: str, name: str) -> bool:
    """Whatever its namespace is."""
    return tag.rpartition("}")[2] == name
