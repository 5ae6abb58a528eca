"""Patterns of paths, in terms of prefixes."""

import pytest

from ingest.search.filters import PathPattern, path_pattern
from ingest.search.prefetch import prefetched


@pytest.mark.parametrize(
    ("pattern", "parted"),
    [
        ("/a/b.pdf", PathPattern("/a/b.pdf", is_prefix=False, is_exact=True)),
        ("/a/", PathPattern("/a/", is_prefix=True, is_exact=False)),
        ("/a/20*", PathPattern("/a/20", is_prefix=True, is_exact=False)),
        ("/a/*.pdf", PathPattern("/a/", is_prefix=False, is_exact=False)),
        ("*.pdf", PathPattern("", is_prefix=False, is_exact=False)),
        ("/a?/", PathPattern("/a", is_prefix=False, is_exact=False)),
        ("/a[bc]", PathPattern("/a", is_prefix=False, is_exact=False)),
    ],
)
def test_a_pattern_is_parted_into_what_a_store_knows(pattern: str, parted: PathPattern):
    assert path_pattern(pattern) == parted


def test_few_pages_are_all_scored_and_many_are_chosen_from():
    assert prefetched(500, 10) is None
    assert prefetched(600, 100) == (None, 600)
    assert prefetched(4000, 10) == (None, 160)
    assert prefetched(10_000, 10) == (2500, 400)
    assert prefetched(10_000, 50) == (2500, 500)
    assert prefetched(10_000, 500) == (5000, 5000)
    assert prefetched(1_000_000, 10) == (250_000, 1000)
