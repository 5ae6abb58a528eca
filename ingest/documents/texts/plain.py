"""Plain text and Markdown."""

import re

from ingest.documents.source import Source
from ingest.documents.texts.content import is_text, read_content, suffix
from ingest.documents.texts.document import TextDocument
from ingest.documents.texts.encoding import decode
from ingest.documents.texts.pages import TextPages

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")


def is_markdown(source: Source) -> bool:
    """By its name: any text is Markdown."""
    return suffix(source) in (".md", ".markdown") and is_text(source)


def open_plain(source: Source, _passwords: tuple[str, ...]) -> TextDocument:
    """Raises: DocumentError."""
    text, warnings = decode(read_content(source))
    pages = TextPages()
    for line in text.splitlines():
        pages.line(line)
    return TextDocument(pages.pages(), warnings)


def open_markdown(source: Source, _passwords: tuple[str, ...]) -> TextDocument:
    """As it is written, with its headings known. Raises: DocumentError."""
    text, warnings = decode(read_content(source))
    pages, fence = TextPages(), ""
    lines = text.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence and (heading := _ATX.match(line)):
            pages.heading(heading[2] or "", len(heading[1]) - 1)
            continue
        elif not fence and line.strip() and (underline := _UNDERLINE.match(following)) and _is_title(line):
            pages.heading(line, 0 if underline[1][0] == "=" else 1)
            continue
        pages.line(line)
    return TextDocument(pages.pages(), warnings)


def _is_title(line: str) -> bool:
    """No list's item, quotation or table row, whose next line may be a rule."""
    return not re.match(r"\s*([-+*>|]|\d+[.)]\s|    )", line)
