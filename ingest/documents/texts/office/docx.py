"""Documents of Word."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from ingest.documents.source import Source
from ingest.documents.texts.document import TextDocument
from ingest.documents.texts.office.names import FALLBACK, W
from ingest.documents.texts.pages import CELL_END, TextPages
from ingest.documents.texts.zip_content import ZipContent

BODY = "word/document.xml"
_STYLES = "word/styles.xml"
_NOTES = ("word/footnotes.xml", "word/endnotes.xml")

_TEXTS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
_NO_LEVEL = 9
"""What Word calls the level of a paragraph that is no heading."""


def open_docx(source: Source, _passwords: tuple[str, ...]) -> TextDocument:
    """Paragraphs, rows of tables, and foot- and endnotes at the end. Deleted text that is still shown as such is left
    out. Raises: DocumentError.
    """
    pages = TextPages()
    with ZipContent(source) as content:
        writer = _Writer(pages, _heading_levels(content))
        writer.blocks(content.xml(BODY))
        for name in _NOTES:
            if name in content.names:
                writer.blocks(content.xml(name))
    return TextDocument(pages.pages())


def _heading_levels(content: ZipContent) -> dict[str, int]:
    """The level of each style of headings, by the style's name: that of the style that it is based on, else."""
    if _STYLES not in content.names:
        return {}
    styles = {style.get(f"{W}styleId", ""): style for style in content.xml(_STYLES).iter(f"{W}style")}
    levels = dict[str, int]()
    for name, style in styles.items():
        seen, each = set[str](), style
        while (level := each.find(f"{W}pPr/{W}outlineLvl")) is None:
            base = each.find(f"{W}basedOn")
            parent = base.get(f"{W}val", "") if base is not None else ""
            if parent in seen or parent not in styles:
                break
            seen.add(parent)
            each = styles[parent]
        if level is not None and (number := _level(level)) is not None:
            levels[name] = number
    return levels


def _level(element: Element) -> int | None:
    value = element.get(f"{W}val", "")
    return int(value) if value.isdigit() and int(value) < _NO_LEVEL else None


class _Writer:
    def __init__(self, pages: TextPages, levels: dict[str, int]) -> None:
        self._pages = pages
        self._levels = levels

    def blocks(self, parent: Element) -> None:
        """All paragraphs and tables in it, in order, those in text boxes behind the paragraph that holds them."""
        for element in _outermost(parent, f"{W}p", f"{W}tbl"):
            if element.tag == f"{W}tbl":
                for row in _outermost(element, f"{W}tr"):
                    cells = (
                        " ".join(map(_text, _outermost(cell, f"{W}p"))) for cell in _outermost(row, f"{W}tc")
                    )
                    self._pages.block(CELL_END.join(" ".join(cell.split()) for cell in cells))
            else:
                self._paragraph(element)
                for box in _outermost(element, f"{W}txbxContent"):
                    self.blocks(box)

    def _paragraph(self, paragraph: Element) -> None:
        if _breaks_page(paragraph):
            self._pages.end_page()
        level = self._heading_level(paragraph)
        text = _text(paragraph)
        if level is None:
            self._pages.block(text)
        else:
            self._pages.heading(text, level)

    def _heading_level(self, paragraph: Element) -> int | None:
        own, style = paragraph.find(f"{W}pPr/{W}outlineLvl"), paragraph.find(f"{W}pPr/{W}pStyle")
        if own is not None:
            return _level(own)
        return self._levels.get(style.get(f"{W}val", "")) if style is not None else None


def _outermost(parent: Element, *tags: str) -> Iterator[Element]:
    """Those with one of the tags that are within none of the others, in order, however deep."""
    todo = list(reversed(parent))
    while todo:
        element = todo.pop()
        if element.tag in tags:
            yield element
        elif element.tag != FALLBACK:
            todo.extend(reversed(element))


def _breaks_page(paragraph: Element) -> bool:
    """Whether Word began a page within it or right before it, when it was last saved."""
    if paragraph.find(f"{W}pPr/{W}pageBreakBefore") is not None:
        return True
    return any(
        each.tag == f"{W}lastRenderedPageBreak" or each.get(f"{W}type") == "page"
        for each in _outermost(paragraph, f"{W}lastRenderedPageBreak", f"{W}br")
    )


def _text(paragraph: Element) -> str:
    """Without that of the boxes in it."""
    return "".join(
        (each.text or "") if each.tag == f"{W}t" else _TEXTS.get(each.tag, "")
        for each in _outermost(paragraph, f"{W}t", *_TEXTS, f"{W}txbxContent")
    )
