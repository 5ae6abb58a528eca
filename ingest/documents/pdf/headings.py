"""The headings of a page: its bookmarks, or lines in larger letters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from ingest.documents.layout.text import TextLine
from ingest.documents.page import Heading

LARGER = 1.15
"""Times the size of most of the page's text."""
MAX_LENGTH = 200
MAX_LINES = 3
"""More lines than that in one larger size are a text, not a heading."""

_NUMBERING = re.compile(r"^(?:[\divxIVX]+(?:\.\d+)*\.?|[A-Z](?:\.\d+)+\.?)\s+")


def comparable(text: str) -> str:
    """Without what differs between a bookmark and the same words on the page: width and case of letters, accents that
    are written as marks of their own, white space.
    """
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text).casefold())


def bookmarked(titles: Sequence[str], lines: Sequence[TextLine]) -> list[Heading]:
    """A heading for each title, where the page has it; those not found are where the one before them is."""
    texts = [comparable(line.text) for line in lines]
    found, after = list[Heading](), 0
    for title in titles:
        wanted = comparable(_NUMBERING.sub("", title))
        line = _line_of(wanted, texts, lines)
        after = lines[line].start if line is not None else after
        found.append(Heading(title, after))
    return sorted(found, key=lambda heading: heading.start)


def _line_of(wanted: str, texts: Sequence[str], lines: Sequence[TextLine]) -> int | None:
    """The line in the largest letters of those that are the title, or else of those that hold it or begin it."""
    whole = [i for i, text in enumerate(texts) if text.endswith(wanted) and len(text) <= len(wanted) + 12]
    parts = [
        i for i, text in enumerate(texts) if wanted in text or (len(text) >= 8 and wanted.startswith(text))
    ]
    return max(whole or parts, key=lambda i: lines[i].size, default=None)


def larger(lines: Sequence[TextLine]) -> list[Heading]:
    """Lines in larger letters than most of the page's text; lines of one size that follow one another are one."""
    body = _body_size(lines)
    found, last = list[list[TextLine]](), False
    for line in lines:
        is_heading = line.size >= LARGER * body and len(line.text) <= MAX_LENGTH and _has_letters(line.text)
        if is_heading and last and abs(found[-1][-1].size - line.size) < 0.5:
            found[-1].append(line)
        elif is_heading:
            found.append([line])
        last = is_heading
    return [
        Heading(" ".join(line.text for line in group), group[0].start)
        for group in found
        if len(group) <= MAX_LINES
    ]


def _body_size(lines: Sequence[TextLine]) -> float:
    sizes = Counter[float]()
    for line in lines:
        sizes[round(line.size * 2) / 2] += len(line.text)
    return max(sizes, key=lambda size: (sizes[size], -size), default=0.0)


def _has_letters(text: str) -> bool:
    return sum(map(str.isalpha, text)) >= 2
