"""What a search found, as lines for people: 80 columns, the query's words in bold."""

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from jobs.search.reply import SearchHit, SearchReply

WIDTH = 80
INDENT = "   "

Bold = Callable[[str], str]


def printed(reply: SearchReply, bold: Bold) -> Iterator[str]:
    """Lines. Hits are numbered; grouped, documents are."""
    for number, hit in enumerate(reply.hits, 1):
        yield f"{number:2} {bold(_place(hit))}{_told(hit)}"
        yield from _text(hit, bold, INDENT)
        yield ""
    for number, group in enumerate(reply.groups, 1):
        yield f"{number:2} {bold(shown_path(group.paths[0]))}"
        for hit in group.hits:
            yield f"{INDENT}page {hit.page}{_told(hit)}"
            yield from _text(hit, bold, INDENT * 2)
        yield ""
    yield _summary(reply)


def shown_path(path: str) -> str:
    """With ~ for the home folder."""
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(home + os.sep) else path


def wrapped(text: str, width: int) -> list[slice]:
    """The characters of each line: broken at blanks, or where a word is longer than a line. Wide characters take two
    columns.
    """
    lines = list[slice]()
    start = 0
    while start < len(text):
        end = _fitting(text, start, width)
        if end < len(text) and (blank := text.rfind(" ", start, end + 1)) > start:
            lines.append(slice(start, blank))
            start = blank + 1
        else:
            lines.append(slice(start, end))
            start = end
    return lines


def _fitting(text: str, start: int, width: int) -> int:
    """The end of what fits into a line; at least one character does."""
    columns = 0
    for end in range(start, len(text)):
        columns += 2 if unicodedata.east_asian_width(text[end]) in "WF" else 1
        if columns > width and end > start:
            return end
    return len(text)


def _place(hit: SearchHit) -> str:
    return f"{shown_path(hit.paths[0])}:{hit.page}"


def _told(hit: SearchHit) -> str:
    label = f" ({hit.label})" if hit.label and hit.label != f"{hit.page}" else ""
    seen = "  image" if hit.kinds == ("visual",) else ""
    return f"{label}  {hit.score:.3g}{seen}"


def _text(hit: SearchHit, bold: Bold, indent: str) -> Iterator[str]:
    if hit.heading:
        yield f"{indent}{hit.heading}"[:WIDTH]
    for line in wrapped(hit.snippet, WIDTH - len(indent)):
        yield indent + _marked(hit.snippet, line, hit.matches, bold)


def _marked(text: str, line: slice, matches: Sequence[tuple[int, int]], bold: Bold) -> str:
    """A line of the text, its matches in bold. A match may go on in the next line."""
    parts = list[str]()
    at = line.start
    for start, end in matches:
        start, end = max(start, line.start), min(end, line.stop)
        if start < end:
            parts += [text[at:start], bold(text[start:end])]
            at = end
    return "".join([*parts, text[at : line.stop]])


def _summary(reply: SearchReply) -> str:
    took = ", ".join(f"{each.part} {each.ms:.0f} ms" for each in reply.timings)
    if not reply.hits and not reply.groups:
        return f"Nothing was found ({took})."
    found = f"{len(reply.groups)} documents" if reply.groups else f"{len(reply.hits)} hits"
    return f"{found} ({took})"
