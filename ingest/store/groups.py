"""Search results grouped by a field of their payloads, which qdrant-edge's Python part cannot do."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

GROWTH = 4
MAX_FACTOR = 64
"""The search is repeated with larger limits until the groups are full, up to so many times the hits wanted."""

DEFAULT_SIZE, DEFAULT_GROUPS = 3, 10


class Hit(Protocol):
    """A search result with its payload."""

    @property
    def payload(self) -> dict[str, Any] | None: ...


T = TypeVar("T", bound=Hit)


def grouped(search: Callable[[int], Sequence[T]], field: str, size: int, count: int) -> dict[Any, list[T]]:
    """The best `count` groups with at most `size` hits each, best first. search: gives the best hits, by limit.

    A hit whose field is a list belongs to each of its values; one without the field to no group.
    """
    limit = most = size * count
    while True:
        hits = search(limit)
        groups = _groups(hits, field, size, count)
        is_full = len(groups) == count and all(len(each) == size for each in groups.values())
        if is_full or len(hits) < limit or limit >= MAX_FACTOR * most:
            return groups
        limit *= GROWTH


def _groups(hits: Sequence[T], field: str, size: int, count: int) -> dict[Any, list[T]]:
    groups: dict[Any, list[T]] = {}
    for hit in hits:
        for value in _values(hit.payload, field):
            if value not in groups and len(groups) == count:
                continue
            group = groups.setdefault(value, [])
            if len(group) < size:
                group.append(hit)
    return groups


def _values(payload: dict[str, Any] | None, field: str) -> list[Any]:
    value: Any = payload
    for key in field.split("."):
        value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    found = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, str | int) and not isinstance(each, bool)]
