"""Tables of values: each row is a line that names its columns."""

import csv
from collections.abc import Sequence

from ingest.documents.source import Source
from ingest.documents.texts.content import is_text, read_content, suffix
from ingest.documents.texts.document import TextDocument
from ingest.documents.texts.encoding import decode
from ingest.documents.texts.pages import CELL_END, TextPages

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 20


def is_csv(source: Source) -> bool:
    """By its name."""
    return suffix(source) in (".csv", ".tsv") and is_text(source)


def open_csv(source: Source, _passwords: tuple[str, ...]) -> TextDocument:
    """`name: Ada | born: 1815`, one a row. Where the first row is none of names, values without them.

    Raises: DocumentError.
    """
    text, warnings = decode(read_content(source))
    pages = TextPages()
    rows = _rows(text)
    names = rows[0] if len(rows) > 1 and _are_names(rows[0]) else None
    for row in rows[1:] if names else rows:
        pages.block(CELL_END.join(_values(names, row)))
    return TextDocument(pages.pages(), warnings)


def _rows(text: str) -> list[list[str]]:
    lines = text.splitlines(keepends=True)
    csv.field_size_limit(max(len(text), 1))
    reader = csv.reader(lines, delimiter=_delimiter(lines[:_SAMPLE_LINES]))
    return [[" ".join(cell.split()) for cell in row] for row in reader if any(map(str.strip, row))]


def _delimiter(lines: Sequence[str]) -> str:
    """The one that most lines have equally often."""

    def score(delimiter: str) -> tuple[int, int]:
        counts = [len(row) - 1 for row in csv.reader(lines, delimiter=delimiter) if row]
        usual = max(set(counts), key=counts.count, default=0)
        return (counts.count(usual) if usual else 0, usual)

    return max(_DELIMITERS, key=score)


def _are_names(row: Sequence[str]) -> bool:
    """All there, all different, none a number."""
    return len(set(row)) == len(row) and all(cell and not _is_number(cell) for cell in row)


def _is_number(cell: str) -> bool:
    return cell.lstrip("+-").replace(".", "").replace(",", "").isdigit()


def _values(names: Sequence[str] | None, row: Sequence[str]) -> list[str]:
    if names is None:
        return [cell for cell in row if cell]
    padded = [*names, *([""] * (len(row) - len(names)))]
    return [f"{name}: {cell}" if name else cell for name, cell in zip(padded, row, strict=False) if cell]
