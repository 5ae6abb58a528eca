"""The headings of a page: its bookmarks, or lines in larger letters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from ingest.documents.layout.text import TextLine
from ingest.documents.page import Bookmark, Heading

LARGER = 1.15
"""Times the size of most of the page's text."""
MAX_LENGTH = 200
MAX_LINES = 3
"""More lines than that in one larger size are a text, not a heading."""

_IGNORED = re.compile("[\\s\"'`´‘’‚‛“”„‟«»]+")
_NUMBERING = re.compile(r"^(?:[\divxIVX]+(?:\.\d+)*\.?|[A-Z](?:\.\d+)+\.?)\s+")


def comparable(text: str) -> str:
    """Without what differs between a bookmark and the same words on the page: width and case of letters, quotation
    marks, white space.
    """
    return _IGNORED.sub("", unicodedata.normalize("NFKC", text).casefold())


def bookmarked(bookmarks: Sequence[Bookmark], lines: Sequence[TextLine]) -> list[Heading]:
    """A heading for each bookmark of the page, where the page has its title; those not found are where the one before
    them is.
    """
    texts = [comparable(line.text) for line in lines]
    found, after = list[Heading](), 0
    for bookmark in bookmarks:
        wanted = comparable(_NUMBERING.sub("", bookmark.title))
        line = _line_of(wanted, texts, lines)
        after = lines[line].start if line is not None else after
        found.append(Heading(bookmark.title, after, bookmark.level))
    return sorted(found, key=lambda heading: heading.start)


def _line_of(wanted: str, texts: Sequence[str], lines: Sequence[TextLine]) -> int | None:
    """The line in the largest letters of those that are the title, or else of those that hold it or begin it."""
    whole = [i for i, text in enumerate(texts) if text.endswith(wanted) and len(text) <= len(wanted) + 12]
    parts = [
        i for i, text in enumerate(texts) if wanted in text or (len(text) >= 8 and wanted.startswith(text))
    ]
    return max(whole or parts, key=lambda i: lines[i].size, default=None)


def larger(lines: Sequence[TextLine], *, level: int = 0) -> list[Heading]:
    """Lines in larger letters than most of the page's text; lines of one size that follow one another are one.
    level: of those in the largest letters.
    """
    body = _body_size(lines)
    groups, last = list[list[TextLine]](), False
    for line in lines:
        is_heading = line.size >= LARGER * body and len(line.text) <= MAX_LENGTH and _has_letters(line.text)
        if is_heading and last and abs(groups[-1][-1].size - line.size) < 0.5:
            groups[-1].append(line)
        elif is_heading:
            groups.append([line])
        last = is_heading
    groups = [group for group in groups if len(group) <= MAX_LINES]
    sizes = sorted({round(group[0].size) for group in groups}, reverse=True)
    return [
        Heading(
            " ".join(line.text for line in group),
            group[0].start,
            level + sizes.index(round(group[0].size)),
        )
        for group in groups
    ]


def _body_size(lines: Sequence[TextLine]) -> float:
    sizes = Counter[float]()
    for line in lines:
        sizes[round(line.size * 2) / 2] += len(line.text)
    return max(sizes, key=lambda size: (sizes[size], -size), default=0.0)


def _has_letters(text: str) -> bool:
    return sum(map(str.isalpha, text)) >= 2
