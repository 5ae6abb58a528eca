"""Presentations of PowerPoint: a slide is a page."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from ingest.documents.source import Source
from ingest.documents.texts.document import TextDocument
from ingest.documents.texts.office.names import FALLBACK, A, P, R, relationships
from ingest.documents.texts.pages import CELL_END, TextPages
from ingest.documents.texts.zip_content import ZipContent

PRESENTATION = "ppt/presentation.xml"
_TITLES = frozenset(("title", "ctrTitle"))
_DECORATION = frozenset(("sldNum", "dt", "ftr", "hdr", "sldImg"))
"""Numbers, dates and the like, which all slides have."""


def open_pptx(source: Source, _passwords: tuple[str, ...]) -> TextDocument:
    """Slides in their order, each with its notes. Raises: DocumentError."""
    pages = TextPages()
    with ZipContent(source) as content:
        targets = {each.get("Id"): each.get("Target", "") for each in relationships(content, PRESENTATION)}
        for slide in content.xml(PRESENTATION).iter(f"{P}sldId"):
            part = targets.get(slide.get(f"{R}id"), "")
            _put_shapes(pages, content.xml(part))
            for each in relationships(content, part):
                if each.get("Type", "").endswith("/notesSlide"):
                    _put_shapes(pages, content.xml(each.get("Target", "")))
            pages.end_page()
    return TextDocument(pages.pages())


def _put_shapes(pages: TextPages, slide: Element) -> None:
    """The title first: it is often drawn last."""
    shapes = list(_shapes(slide))
    for shape in sorted(shapes, key=lambda shape: _kind(shape) not in _TITLES):
        kind = _kind(shape)
        if kind in _DECORATION:
            continue
        if kind in _TITLES:
            pages.heading(" ".join(map(_text, shape.iter(f"{A}p"))), 0)
            continue
        for block in _blocks(shape):
            pages.block(block)


def _shapes(slide: Element) -> Iterator[Element]:
    """Shapes and frames in their order, those of groups and of pictures' captions, too."""
    todo = list(reversed(slide))
    while todo:
        element = todo.pop()
        if element.tag in (f"{P}sp", f"{P}graphicFrame"):
            yield element
        elif element.tag != FALLBACK:
            todo.extend(reversed(element))


def _kind(shape: Element) -> str:
    place = shape.find(f"{P}nvSpPr/{P}nvPr/{P}ph")
    return place.get("type", "") if place is not None else ""


def _blocks(shape: Element) -> Iterator[str]:
    """Rows of a table, else paragraphs."""
    rows = list(shape.iter(f"{A}tr"))
    for row in rows:
        yield CELL_END.join(" ".join(map(_text, cell.iter(f"{A}p"))) for cell in row.iter(f"{A}tc"))
    if not rows:
        yield from map(_text, shape.iter(f"{A}p"))


def _text(paragraph: Element) -> str:
    return "".join(
        (each.text or "") if each.tag == f"{A}t" else "\n"
        for each in paragraph.iter()
        if each.tag in (f"{A}t", f"{A}br")
    )
