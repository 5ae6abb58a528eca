"""The figures of an evaluation as lines of at most 80 columns."""

from collections.abc import Iterator

from ingest.evaluate.comparison import Comparison, ModeResult
from ingest.evaluate.measures import Measures


def table(comparison: Comparison, told: str) -> Iterator[str]:
    """told: what was asked for, and of what."""
    first = comparison.results[0].measures
    yield f"{first.queries} queries: {told}"
    yield ""
    recall = f"R@{first.depth}"
    yield f"{'MODE':<12}{'nDCG@5':>8}{recall:>8}{'MRR':>8}{'ms p50':>10}{'ms p95':>10}{'bytes/page':>13}"
    for each in comparison.results:
        times = f"{each.ms_p50:>10.1f}{each.ms_p95:>10.1f}{each.bytes_per_page:>13,.0f}"
        yield f"{each.mode:<12}{_figures(each.measures)}{times}"
    yield from _by_kind(comparison.results)
    if comparison.same_pages is not None and comparison.same_first is not None:
        yield ""
        yield f"prefetch finds {comparison.same_pages:.1%} of the pages that exact finds, and the same first page for"
        yield f"{comparison.same_first:.1%} of the queries."


def _by_kind(results: tuple[ModeResult, ...]) -> Iterator[str]:
    for kind in results[0].by_kind:
        yield ""
        yield f"{kind}: {results[0].by_kind[kind].queries} queries"
        for each in results:
            yield f"  {each.mode:<10}{_figures(each.by_kind[kind])}"


def _figures(measures: Measures) -> str:
    return f"{measures.ndcg_at_5:>8.3f}{measures.recall:>8.3f}{measures.mrr:>8.3f}"
