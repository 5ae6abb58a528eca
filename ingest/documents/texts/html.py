"""HTML."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ingest.documents.source import Source
from ingest.documents.texts.content import is_text, read_content, suffix
from ingest.documents.texts.document import TextDocument
from ingest.documents.texts.encoding import decode
from ingest.documents.texts.pages import CELL_END, TextPages

_BEGINS = re.compile(rb"(?is)\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b")
_DECLARED = re.compile(rb"""(?i)<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*["']?([\w-]+)""")

_HIDDEN = "script style noscript template svg math head title iframe object select datalist"
_UNSEEN = frozenset(_HIDDEN.split())
_PHRASING = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark meter output q rp rt ruby s "
    "samp small span strike strong sub sup time tt u var wbr"
)
_INLINE = frozenset(_PHRASING.split())
_CELLS = frozenset(("td", "th"))
_HEADINGS = {f"h{level}": level - 1 for level in range(1, 7)}


def is_html(source: Source) -> bool:
    """By how it begins, or by its name."""
    begins = _BEGINS.match(source.head) is not None
    return begins or (suffix(source) in (".html", ".htm", ".xhtml") and is_text(source))


def open_html(source: Source, _passwords: tuple[str, ...]) -> TextDocument:
    """Raises: DocumentError."""
    content = read_content(source)
    declared = _DECLARED.search(content[:4096])
    text, warnings = decode(content, declared[1].decode() if declared else None)
    pages = TextPages()
    add_html(pages, text)
    return TextDocument(pages.pages(), warnings)


def add_html(pages: TextPages, html: str) -> None:
    """What a reader of the page sees; without scripts, styles and drawings."""
    parser = LexborHTMLParser(html)
    if parser.body is not None:
        writer = _Writer(pages)
        for node, begins in _walk(parser.body):
            writer.put(node, begins)


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Each node that is seen, where it begins (True) and where it ends, however deep it is."""
    node = root
    while True:
        is_seen = node.tag not in _UNSEEN
        if is_seen:
            yield node, True
        if is_seen and (child := node.first_child) is not None:
            node = child
            continue
        while True:
            if node.tag not in _UNSEEN:
                yield node, False
            if node.mem_id == root.mem_id:
                return
            if (following := node.next) is not None:
                node = following
                break
            node = node.parent or root


class _Writer:
    def __init__(self, pages: TextPages) -> None:
        self._pages = pages
        self._parts = list[str]()
        self._cells = 0
        """Cells of tables that are open: their blocks are on one line."""
        self._preformatted = 0

    def put(self, node: LexborNode, begins: bool) -> None:
        """A node that begins or ends."""
        tag, step = node.tag or "", 1 if begins else -1
        if node.is_text_node:
            if begins:
                self._parts.append(node.text_content or "")
        elif tag in _HEADINGS and not self._cells:
            self._end_block(None if begins else _HEADINGS[tag])
        elif tag == "img" and begins:
            self._parts.append(f" {node.attributes.get('alt') or ''} ")
        elif tag == "pre":
            self._end_block()
            self._preformatted += step
        elif tag in _CELLS:
            if begins and "".join(self._parts).strip():
                self._parts.append(CELL_END)
            self._cells += step
        elif tag not in _INLINE and not node.is_comment_node:
            self._end_block()

    def _end_block(self, heading: int | None = None) -> None:
        if self._cells:
            self._parts.append(" ")
            return
        text = "".join(self._parts)
        self._parts = []
        if heading is not None:
            self._pages.heading(text, heading)
        else:
            self._pages.block(text if self._preformatted else " ".join(text.split()))
