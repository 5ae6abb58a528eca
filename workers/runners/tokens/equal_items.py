"""Items of a job that are equal: computed in different places of a batch, their outcomes differ in the last digits."""

from collections.abc import Hashable, Sequence
from typing import Any


def first_equals(items: Sequence[Any]) -> list[int]:
    """For each item the place of the first that is equal to it: the same token ids, and the same images, if any."""
    found: dict[Hashable, int] = {}
    return [found.setdefault(_key(item), place) for place, item in enumerate(items)]


def _key(item: Any) -> Hashable:
    return item.ids.tobytes(), tuple(map(id, getattr(item, "images", ())))
