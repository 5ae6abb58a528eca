"""--filter as a filter of pages."""

import os
import re
from collections.abc import Sequence

from jobs.errors import InvalidInput
from jobs.search.query import PageFilter

_PAGES = re.compile(r"(?P<first>\d{1,9})?(?P<to>-)?(?P<last>\d{1,9})?")


def page_filter(given: Sequence[str]) -> PageFilter:
    """given: FIELD=VALUE. Raises InvalidInput for what is no filter."""
    documents, paths = list[str](), list[str]()
    first: int | None = None
    last: int | None = None
    for each in given:
        field, _, value = each.partition("=")
        match field, value:
            case "document", value if value:
                documents.append(value)
            case "path", value if value:
                paths.append(path_pattern(value))
            case "page", value if value:
                first, last = _pages(each, value)
            case _:
                raise InvalidInput(f"--filter {each}: write path=PATTERN, page=3-9 or document=ID.")
    return PageFilter(tuple(documents), tuple(paths), first, last)


def path_pattern(value: str) -> str:
    """Absolute, unless it begins with a star: documents are known by absolute paths."""
    if value.startswith("*"):
        return value
    absolute = os.path.abspath(os.path.expanduser(value))
    return f"{absolute}/" if value.endswith("/") or os.path.isdir(absolute) else absolute


def _pages(given: str, value: str) -> tuple[int | None, int | None]:
    match = _PAGES.fullmatch(value)
    if match is None or not (match["first"] or match["last"]):
        raise InvalidInput(
            f"--filter {given}: a page is a number, or a range: page=3, page=3-9, page=3-, page=-9."
        )
    first = int(match["first"]) if match["first"] else None
    last = int(match["last"]) if match["last"] else None
    return first, last if match["to"] else first
