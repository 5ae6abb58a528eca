"""The figures of an evaluation on a terminal."""

from cli.evaluation.table import table
from ingest.evaluate.comparison import Comparison, ModeResult
from ingest.evaluate.measures import Measures

GOOD, POOR = Measures(200, 0.8126, 0.9, 10, 0.75), Measures(200, 0.1, 0.2, 10, 0.15)


def test_ways_are_rows_of_figures_within_80_columns():
    results = (
        ModeResult("exact", GOOD, 812.26, 1400, 231_424, {"table": GOOD}),
        ModeResult("prefetch", POOR, 41.0, 55.5, 250_000, {"table": POOR}),
    )
    lines = list(table(Comparison(results, 0.975, 0.9312), "bookmarks of 3 documents"))
    assert lines == [
        "200 queries: bookmarks of 3 documents",
        "",
        "MODE          nDCG@5    R@10     MRR    ms p50    ms p95   bytes/page",
        "exact          0.813   0.900   0.750     812.3    1400.0      231,424",
        "prefetch       0.100   0.200   0.150      41.0      55.5      250,000",
        "",
        "table: 200 queries",
        "  exact        0.813   0.900   0.750",
        "  prefetch     0.100   0.200   0.150",
        "",
        "prefetch finds 93.1% of the pages that exact finds, and the same first page for",
        "97.5% of the queries.",
    ]
    assert max(map(len, lines)) <= 80
