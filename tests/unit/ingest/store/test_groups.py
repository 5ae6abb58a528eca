"""Grouping of search results."""

from typing import Any, NamedTuple

import pytest

from ingest.store.groups import MAX_FACTOR, grouped


class Hit(NamedTuple):
    payload: dict[str, Any] | None


class Search:
    """Gives the best of some hits and notes how many it is asked for."""

    def __init__(self, *values: Any) -> None:
        self.hits = [Hit({"at": {"doc": each}, "n": n}) for n, each in enumerate(values)]
        self.limits: list[int] = []

    def __call__(self, limit: int) -> list[Hit]:
        self.limits.append(limit)
        return self.hits[:limit]


def numbers(groups: dict[Any, list[Hit]]) -> dict[Any, list[int]]:
    return {value: [(hit.payload or {})["n"] for hit in hits] for value, hits in groups.items()}


def test_groups_come_best_first_with_their_best_hits():
    search = Search("a", "b", "a", "a", "c", "b")
    assert numbers(grouped(search, "at.doc", size=2, count=2)) == {"a": [0, 2], "b": [1, 5]}


def test_the_search_is_repeated_until_the_groups_are_full():
    search = Search(*["a"] * 30, "b", "b")
    assert numbers(grouped(search, "at.doc", size=2, count=2)) == {"a": [0, 1], "b": [30, 31]}
    assert search.limits == [4, 16, 64]


def test_it_gives_up_on_groups_that_are_too_far_behind():
    search = Search(*["a"] * 1000)
    assert numbers(grouped(search, "at.doc", size=1, count=2)) == {"a": [0]}
    assert max(search.limits) == 2 * MAX_FACTOR


@pytest.mark.parametrize(
    ("value", "groups"),
    [(["a", "b"], {"a": [0], "b": [0]}), (None, {}), (1.5, {}), (True, {}), (7, {7: [0]}), ({"x": 1}, {})],
)
def test_a_hit_belongs_to_each_of_its_values(value: Any, groups: dict[Any, list[int]]):
    assert numbers(grouped(Search(value), "at.doc", size=1, count=5)) == groups


def test_a_point_without_payload_belongs_to_no_group():
    assert grouped(lambda _: [Hit(None)], "doc", size=1, count=1) == {}
