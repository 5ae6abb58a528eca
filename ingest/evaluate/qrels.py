"""Judgements that a user has, in two files of the form that TREC uses."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ingest.evaluate.judgements import Judged, PageKey

PagesOf = Callable[[str, int | None], Sequence[PageKey]]
"""The pages that a path and, if it is given, a page mean; none if no document lies there."""

_FRAGMENT = re.compile(r"#(?:page=)?(\d+)$")


class QrelsUnusable(ValueError):
    """The message names file and line, and says what to do."""


def read_judgements(qrels: Path, queries: Path, pages_of: PagesOf) -> list[Judged]:
    """qrels: lines of `query-id 0 path#page=3 grade`; without the page, any page of the document is right. The path may
    have spaces in it. queries: lines of query id, tab, text. Only queries with a right page are returned.

    Raises: QrelsUnusable, OSError.
    """
    texts = dict(_queries(queries))
    grades = dict[str, dict[PageKey, int]]()
    for where, line in _lines(qrels):
        fields = line.split()
        if len(fields) < 4 or not re.fullmatch(r"-?\d+", fields[-1]):
            raise QrelsUnusable(f"{where}: {line!r} is not `query-id 0 path#page=3 grade`.")
        name = line.split(None, 2)[2].rsplit(None, 1)[0]
        if fields[0] not in texts:
            raise QrelsUnusable(
                f"{where}: {queries.name} has no query {fields[0]!r}. Add it there, or drop the line."
            )
        page = _FRAGMENT.search(name)
        path = name[: page.start()] if page else name
        found = pages_of(path, int(page[1]) if page else None)
        if not found:
            raise QrelsUnusable(
                f"{where}: the collection has no {name!r}. Write the path as `mlxq search` shows it, "
                "and ingest the file."
            )
        grades.setdefault(fields[0], {}).update(dict.fromkeys(found, int(fields[-1])))
    return [
        Judged(texts[name], {key: grade for key, grade in each.items() if grade > 0})
        for name, each in grades.items()
        if max(each.values()) > 0
    ]


def _queries(path: Path) -> Iterator[tuple[str, str]]:
    for where, line in _lines(path):
        name, _, text = line.partition("\t")
        if not text.strip():
            raise QrelsUnusable(f"{where}: {line!r} is not a query's id, a tab, and its text.")
        yield name.strip(), text.strip()


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each with where it is: those that are not empty."""
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.strip():
            yield f"{path.name}, line {number}", line.strip()
