"""Queries, and the pages that answer them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec


class PageKey(NamedTuple):
    """A page, whatever collection it is in."""

    document: str
    """SHA-256 of the content, in hex."""
    page: int
    """Counts from 1."""

    def __str__(self) -> str:
        return f"{self.document}#{self.page}"


class Judged(msgspec.Struct, frozen=True):
    """A query with the pages that answer it; all others do not."""

    query: str
    grades: dict[PageKey, int]
    """1 and more: the higher, the better. At least one page has 1 or more."""
    kind: str = ""
    """What sort of query it is, where a set has several."""


class PageHit(Protocol):
    """What a search found: a SearchHit, for one."""

    @property
    def document(self) -> str: ...
    @property
    def page(self) -> int: ...


def ranking(hits: Sequence[PageHit]) -> list[PageKey]:
    """The pages in the order in which they were found, each once: several chunks may be of one page."""
    return list(dict.fromkeys(PageKey(hit.document, hit.page) for hit in hits))
