"""Measures of rankings, by ir_measures (https://ir-measur.es), which asks trec_eval's code."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ingest.evaluate.judgements import Judged, PageKey


class Measures(msgspec.Struct, frozen=True):
    """Means over all queries, from 0 to 1; a query for which nothing was found counts 0."""

    queries: int
    ndcg_at_5: float
    """How high the right pages are among the first five, weighed by grade (nDCG@5)."""
    recall: float
    """Share of the right pages among the first `depth` (R@depth)."""
    depth: int
    mrr: float
    """1 / rank of the first right page (RR)."""


def measure(judged: Sequence[Judged], rankings: Sequence[Sequence[PageKey]], depth: int = 10) -> Measures:
    """rankings: what was found for each of the queries, the best first; each page at most once in one of them.

    Raises: ValueError if there are no queries, or not as many rankings.
    """
    import ir_measures  # takes half a second, and few commands need it

    if not judged or len(judged) != len(rankings):
        raise ValueError(
            f"{len(judged)} queries and {len(rankings)} rankings: as many are needed, and one at least."
        )
    qrels = {str(i): {str(key): grade for key, grade in each.grades.items()} for i, each in enumerate(judged)}
    run = {  # by rank: scores that are equal would be ordered by trec_eval, by name
        str(i): {str(key): -float(rank) for rank, key in enumerate(ranked)}
        for i, ranked in enumerate(rankings)
    }
    ndcg, recall, rr = ir_measures.nDCG @ 5, ir_measures.R @ depth, ir_measures.RR
    means: Any = ir_measures.calc_aggregate([ndcg, recall, rr], qrels, run)  # pyright: ignore[reportUnknownMemberType]: names pandas
    return Measures(len(judged), float(means[ndcg]), float(means[recall]), depth, float(means[rr]))
