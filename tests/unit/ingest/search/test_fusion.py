"""Several lists of pages become one."""

import pytest

from ingest.search.found import Found
from ingest.search.fusion import by_document, fused
from jobs.search.query import Kind


def hit(document: str, page: int, kind: Kind = "visual", score: float = 1.0, text: str = "") -> Found:
    return Found(
        collection="papers", point=f"{kind} {document} {page}", kinds=(kind,), score=score, document=document,
        paths=(f"/{document}.pdf",), page=page, label="", text=text,
    )  # fmt: skip


def pages(hits: list[Found]) -> list[tuple[str, int]]:
    return [(each.document, each.page) for each in hits]


def test_a_page_of_both_lists_goes_before_the_first_of_one():
    visual = [hit("a", 1), hit("b", 1), hit("c", 1)]
    text = [hit("d", 1, "text"), hit("b", 1, "text", text="words")]
    found = fused([visual, text])
    assert pages(found) == [("b", 1), ("a", 1), ("d", 1), ("c", 1)]
    assert found[0].score == pytest.approx(2 / 62)
    assert found[1].score == pytest.approx(1 / 61)


def test_a_page_that_two_kinds_found_shows_its_text():
    (both,) = fused([[hit("a", 1)], [hit("a", 1, "text", text="words")]])
    assert (both.kinds, both.text, both.point) == (("text", "visual"), "words", "text a 1")


def test_two_chunks_of_a_page_count_once():
    found = fused([[hit("a", 1, "text", text="best"), hit("a", 1, "text", text="next"), hit("b", 1, "text")]])
    assert [each.text for each in found] == ["best", ""]
    assert found[1].score == pytest.approx(1 / 62)  # the second page, not the third hit


def test_the_same_page_of_two_collections_stays_two():
    other = Found(
        collection="notes", point="x", kinds=("visual",), score=1, document="a", paths=(), page=1, label=""
    )
    assert len(fused([[hit("a", 1)], [other]])) == 2


def test_documents_come_in_the_order_of_their_best_hits():
    hits = [hit("a", 1), hit("b", 1), hit("a", 2), hit("a", 3), hit("c", 1), hit("b", 2)]
    groups = by_document(hits, documents=2, size=2)
    assert [pages(list(group)) for group in groups] == [[("a", 1), ("a", 2)], [("b", 1), ("b", 2)]]
