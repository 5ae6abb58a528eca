"""Ways of searching, side by side."""

import pytest

from ingest.evaluate.comparison import compare
from ingest.evaluate.judgements import Judged, PageKey
from ingest.evaluate.modes import MODES, EvalMode, modes_of
from jobs.search.query import SearchQuery
from jobs.search.reply import SearchHit, SearchReply, Timing


def hit(document: str, page: int) -> SearchHit:
    return SearchHit(
        collection="c", document=document, paths=("/a",), page=page, kinds=("text",), score=1, point="p"
    )


class Scripted:
    """found: pages by mode, whatever is asked. asked: all queries."""

    def __init__(self, **found: list[int]) -> None:
        self.found = found
        self.asked: list[SearchQuery] = []

    async def search(self, query: SearchQuery) -> SearchReply:
        self.asked.append(query)
        name = "exact" if query.exact else query.mode
        hits = tuple(hit("d", page) for page in self.found[name])
        return SearchReply(hits=hits, timings=(Timing("embed", 50), Timing("search", 7)))


def by_name(*names: str) -> list[EvalMode]:
    return [each for each in MODES if each.name in names]


JUDGED = [Judged("first", {PageKey("d", 1): 1}), Judged("second", {PageKey("d", 2): 1})]


async def test_each_way_is_measured_on_the_same_queries_and_chunks_of_a_page_count_once():
    searches = Scripted(text=[3, 3, 1, 2], keywords=[1, 9])
    done = list[int]()
    found = await compare(
        searches, "c", JUDGED, by_name("text", "keywords"), {"dense": 100.0, "bm25": 30.0}, 3, done.append
    )
    text, keywords = found.results
    assert text.measures.recall == 1
    assert text.measures.mrr == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert (keywords.measures.recall, keywords.measures.mrr) == (0.5, 0.5)
    assert (text.ms_p50, text.ms_p95) == (7, 7)  # without the query's vectors
    assert (text.bytes_per_page, keywords.bytes_per_page) == (100, 30)
    assert done == [1, 2]
    assert (found.same_first, found.same_pages) == (None, None)


async def test_only_the_best_pages_count():
    searches = Scripted(visual=[5, 4, 1])
    found = await compare(searches, "c", JUDGED[:1], by_name("prefetch"), {}, 2)
    assert found.results[0].measures.recall == 0
    assert searches.asked[0].limit == 2


async def test_what_prefetch_loses_is_told():
    searches = Scripted(exact=[1, 2, 3, 4], visual=[1, 2, 9, 8])
    found = await compare(searches, "c", JUDGED, by_name("exact", "prefetch"), {}, 4)
    assert (found.same_first, found.same_pages) == (1.0, 0.5)


async def test_kinds_of_queries_are_measured_apart():
    judged = [Judged("a", {PageKey("d", 1): 1}, "table"), Judged("b", {PageKey("d", 2): 1}, "chart")]
    found = await compare(Scripted(text=[1]), "c", judged, by_name("text"), {}, 3)
    kinds = found.results[0].by_kind
    assert (kinds["table"].recall, kinds["chart"].recall) == (1, 0)


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        (("text",), ["text", "keywords", "hybrid"]),
        (("visual",), ["exact", "prefetch"]),
        (("visual", "text"), ["exact", "prefetch", "text", "keywords", "hybrid", "auto"]),
    ],
)
def test_the_ways_are_those_that_the_collection_allows(kinds: tuple[str, ...], names: list[str]):
    assert [each.name for each in modes_of(kinds)] == names  # pyright: ignore[reportArgumentType]
    reranked = modes_of(kinds, "judge")[-1]  # pyright: ignore[reportArgumentType]
    assert (reranked.name, reranked.mode, reranked.rerank_model) == (
        "reranked",
        modes_of(kinds)[-1].mode,  # pyright: ignore[reportArgumentType]
        "judge",
    )
