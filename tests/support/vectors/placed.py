"""Finding a made-up document, as the collections in service find theirs."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from jobs.search.errors import UnknownCollection, UnknownDocument


class Placed(Protocol):
    """A document of a collection."""

    @property
    def collection(self) -> str: ...

    @property
    def id(self) -> str: ...


D = TypeVar("D", bound=Placed)


def in_collection(documents: Sequence[D], collection: str) -> list[D]:
    """Raises UnknownCollection."""
    found = [each for each in documents if each.collection == collection]
    if not found:
        raise UnknownCollection
    return found


def named(documents: Sequence[D], document: str) -> D:
    """Raises UnknownDocument."""
    for each in documents:
        if each.id == document:
            return each
    raise UnknownDocument
