"""Columns under headings, as Ollama prints them: programs find a column by where its heading begins."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

GAP = " " * 4


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines without blanks at their ends."""
    lines = [heads, *rows]
    widths = [max(width(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = [cell + " " * (most - width(cell)) for cell, most in zip(line, widths, strict=True)]
        yield GAP.join(cells).rstrip()


def width(text: str) -> int:
    """Columns that a terminal shows it in."""
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
