import math
from pathlib import Path
from typing import NamedTuple

import pytest

from ingest.documents.page import Bookmark
from ingest.evaluate.bookmarks import bookmark_judgements
from ingest.evaluate.judgements import Judged, PageKey, ranking
from ingest.evaluate.measures import measure
from ingest.evaluate.qrels import QrelsUnusable, read_judgements

A, B, C = PageKey("a", 1), PageKey("b", 2), PageKey("c", 3)


class Hit(NamedTuple):
    document: str
    page: int


def test_a_ranking_that_is_right_scores_one():
    found = measure([Judged("q", {A: 1})], [[A, B, C]])

    assert (found.ndcg_at_5, found.recall, found.mrr, found.queries) == (1.0, 1.0, 1.0, 1)


def test_measures_are_those_of_their_definitions():
    judged = [Judged("one", {A: 2, B: 1}), Judged("two", {C: 1}), Judged("nothing found", {A: 1})]

    found = measure(judged, [[B, C, A], [A, B, C], []], depth=2)

    ideal = 2 + 1 / math.log2(3)
    assert found.ndcg_at_5 == pytest.approx(((1 + 2 / 2) / ideal + 1 / 2 + 0) / 3)
    assert found.recall == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert found.mrr == pytest.approx((1 + 1 / 3 + 0) / 3)


@pytest.mark.parametrize("rankings", [[], [[A], [B]]])
def test_as_many_rankings_as_queries_are_needed(rankings: list[list[PageKey]]):
    with pytest.raises(ValueError, match="1 queries and"):
        measure([Judged("q", {A: 1})], rankings)


def test_a_page_that_was_found_by_several_chunks_counts_once():
    assert ranking([Hit("a", 1), Hit("b", 2), Hit("a", 1), Hit("a", 2)]) == [A, B, PageKey("a", 2)]


def test_bookmarks_are_queries_unless_they_say_nothing():
    outlines = {
        "b": [Bookmark("Reading  files", 7, 1), Bookmark("1.2", 3, 0), Bookmark("文書", 4, 0)],
        "a": [Bookmark("reading files", 2, 0), *(Bookmark("See also", page, 1) for page in range(9))],
    }

    assert bookmark_judgements(outlines) == [
        Judged("reading files", {PageKey("a", 2): 1, PageKey("b", 7): 1}),
        Judged("文書", {PageKey("b", 4): 1}),
    ]


def test_a_sample_of_bookmarks_is_the_same_every_time():
    outlines = {"a": [Bookmark(f"Title number {i}", i, 0) for i in range(1, 300)]}

    sample = bookmark_judgements(outlines, limit=20)

    assert len(sample) == 20
    assert sample == bookmark_judgements(outlines, limit=20)
    assert sample != bookmark_judgements(outlines, limit=20, seed=1)


PAGES = {"manuals/a file.pdf": 3, "b.md": 1}


def pages_of(path: str, page: int | None) -> list[PageKey]:
    count = PAGES.get(path, 0)
    return [PageKey(path[:1], number) for number in range(1, count + 1) if page in (None, number)]


def judgements(folder: Path, qrels: str, queries: str = "q1\thow to read\nq2\tfiles\n") -> list[Judged]:
    (folder / "qrels").write_text(qrels)
    (folder / "queries.tsv").write_text(queries)
    return read_judgements(folder / "qrels", folder / "queries.tsv", pages_of)


def test_judgements_are_read_from_files_as_trec_writes_them(tmp_path: Path):
    lines = "q1 0 manuals/a file.pdf#page=3 2\nq1 0 manuals/a file.pdf#2 0\n\nq2 0 b.md 1\n"

    assert judgements(tmp_path, lines) == [
        Judged("how to read", {PageKey("m", 3): 2}),
        Judged("files", {PageKey("b", 1): 1}),
    ]


@pytest.mark.parametrize(
    ("qrels", "said"),
    [
        ("q1 0 b.md\n", "qrels, line 1: 'q1 0 b.md' is not"),
        ("q1 0 b.md 1\nq9 0 b.md 1\n", "qrels, line 2: queries.tsv has no query 'q9'"),
        ("q1 0 missing.pdf#page=1 1\n", "the collection has no 'missing.pdf#page=1'"),
        ("q1 0 b.md#page=2 1\n", "the collection has no 'b.md#page=2'"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, qrels: str, said: str):
    with pytest.raises(QrelsUnusable, match=said):
        judgements(tmp_path, qrels)


def test_a_query_without_a_text_is_named(tmp_path: Path):
    with pytest.raises(QrelsUnusable, match="line 1: 'q1 how' is not"):
        judgements(tmp_path, "q1 0 b.md 1\n", "q1 how\n")
