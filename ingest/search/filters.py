"""Which points a search may find, in Qdrant's terms."""

import re
from typing import NamedTuple

from qdrant_client import models

from ingest.collections import layout

NONE = models.HasIdCondition(has_id=[])
"""No point passes."""


class PathPattern(NamedTuple):
    """A pattern of paths: what it begins with, and whether that is all it asks for."""

    prefix: str
    is_prefix: bool
    """Every path that begins so fits."""
    is_exact: bool
    """Only this path fits."""


def path_pattern(pattern: str) -> PathPattern:
    """*, ? and [abc] as fnmatch has them; one that ends with a slash is a folder."""
    if pattern.endswith("/"):
        pattern += "*"
    wild = re.search(r"[*?[]", pattern)
    if wild is None:
        return PathPattern(pattern, is_prefix=False, is_exact=True)
    return PathPattern(pattern[: wild.start()], is_prefix=pattern[wild.start() :] == "*", is_exact=False)


def of_documents(documents: tuple[str, ...]) -> models.FieldCondition:
    """By id."""
    return models.FieldCondition(key=layout.DOCUMENT, match=models.MatchAny(any=list(documents)))


def at_path(path: str) -> models.FieldCondition:
    """Of a document that lies there."""
    return models.FieldCondition(key=layout.PATHS, match=models.MatchValue(value=path))


def at_paths(paths: list[str]) -> models.FieldCondition:
    """Of a document that lies at one of them."""
    return models.FieldCondition(key=layout.PATHS, match=models.MatchAny(any=paths))


def under(prefix: str) -> models.FieldCondition:
    """Of a document with a path that begins so."""
    return models.FieldCondition(key=layout.PATHS, match=models.MatchPrefix(prefix=prefix))


def in_pages(first: int | None, last: int | None) -> models.FieldCondition:
    """Both inclusive."""
    return models.FieldCondition(key=layout.PAGE, range=models.Range(gte=first, lte=last))
