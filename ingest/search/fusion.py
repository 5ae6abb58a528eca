"""Several lists of what was found made into one, and parted by document: pure functions."""

from collections.abc import Iterable, Sequence

import msgspec

from ingest.search.found import Found

RANK_K = 60
"""A list's n-th page counts 1 / (60 + n), the first one 1 / 61: reciprocal rank fusion (Cormack et al., 2009)."""

PageKey = tuple[str, str, int]


def fused(lists: Sequence[Sequence[Found]]) -> list[Found]:
    """Pages by the sum of their reciprocal ranks, best first, each once.

    A page counts once in each list: by its best hit. Of a page that several lists have, the text comes from the first
    that has one.
    """
    scores: dict[PageKey, float] = {}
    hits: dict[PageKey, Found] = {}
    for each in lists:
        for rank, hit in enumerate(_once(each)):
            key = (hit.collection, hit.document, hit.page)
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_K + rank + 1)
            hits[key] = _joined(hits[key], hit) if key in hits else hit
    best = sorted(scores, key=lambda key: -scores[key])
    return [msgspec.structs.replace(hits[key], score=scores[key]) for key in best]


def _once(hits: Iterable[Found]) -> Iterable[Found]:
    seen = set[PageKey]()
    for hit in hits:
        key = (hit.collection, hit.document, hit.page)
        if key not in seen:
            seen.add(key)
            yield hit


def _joined(one: Found, other: Found) -> Found:
    """The same page found twice. What has a text goes first: it can be shown."""
    first, second = (one, other) if one.text or not other.text else (other, one)
    kinds = (*first.kinds, *(kind for kind in second.kinds if kind not in first.kinds))
    return msgspec.structs.replace(first, kinds=kinds)


def by_document(hits: Iterable[Found], documents: int, size: int) -> list[tuple[Found, ...]]:
    """The best documents, each with its best hits, at most `size`. hits: best first."""
    groups: dict[str, list[Found]] = {}
    for hit in hits:
        if hit.document not in groups and len(groups) == documents:
            continue
        group = groups.setdefault(hit.document, [])
        if len(group) < size:
            group.append(hit)
    return [tuple(group) for group in groups.values()]
