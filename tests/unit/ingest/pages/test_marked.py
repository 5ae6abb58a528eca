"""Words of the query on a page."""

import pytest

from ingest.pages.marked import marked


def shown(words: str, query: str) -> list[str]:
    parts = words.split()
    return [word for word, is_match in zip(parts, marked(parts, query), strict=True) if is_match]


@pytest.mark.parametrize(
    ("words", "query", "matches"),
    [
        ("The lease, and Leases end.", "LEASE", ["lease,", "Leases"]),
        ("a lease of the worker", "what is the lease", ["lease"]),
        ("Café (renewed)", "cafe", ["Café"]),
        ("機 械 学 習 と は", "学習", ["学", "習"]),
        ("nothing here", "fox", []),
        ("", "fox", []),
    ],
)
def test_the_words_of_the_query_are_marked_however_they_are_written(
    words: str, query: str, matches: list[str]
):
    assert shown(words, query) == matches
