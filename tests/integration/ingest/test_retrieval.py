"""Searches in collections of small documents, in the embedded store."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from ingest.collections.collections import Collections
from ingest.collections.contents import Part
from ingest.qdrant.connect import connect, connect_async
from ingest.qdrant.embedded_writer import EmbeddedWriter
from ingest.search.found import Found
from ingest.search.prefetch import Prefetched, prefetched
from ingest.search.retrieval import Retrieval, Wanted
from jobs.search.errors import StoreUnavailable, UnknownCollection
from jobs.search.query import PageFilter
from jobs.settings import Settings
from tests.support.vectors.documents import (
    COLSMALL,
    DIMENSION,
    MINILM,
    chunk,
    chunk_vector,
    page,
    page_vectors,
    store_in,
    unit,
)  # fmt: skip
from tests.support.vectors.pages import max_sim

QUERY = unit(7, 3)
DOCUMENTS, PAGES = ("a", "b", "c"), 5
VISUAL = Part("papers", "visual", COLSMALL, DIMENSION, 15, "papers-visual")
TEXT = Part("papers", "text", MINILM, DIMENSION, 30, "papers-text")
LETTERS = Part("letters", "visual", COLSMALL, DIMENSION, 1, "letters-visual")
ALL = [(document, number) for document in DOCUMENTS for number in range(1, PAGES + 1)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory):
    """Of a store with three documents of five pages and ten chunks."""
    with store_in(tmp_path_factory.mktemp("data")) as settings:
        with (
            contextlib.closing(EmbeddedWriter(settings)) as writer,
            contextlib.closing(connect(settings)) as client,
        ):
            collections = Collections(client, writer)
            collections.ensure("papers", "visual", DIMENSION, COLSMALL)
            collections.upsert("papers", "visual", [page(*each) for each in ALL])
            collections.ensure("papers", "text", DIMENSION, MINILM)
            collections.upsert(
                "papers",
                "text",
                [chunk(each, n, (1, 10 + n)) for each in DOCUMENTS for n in range(2 * PAGES)],
            )
            collections.set_paths("papers", "b", ["/papers/b.pdf", "/old/2019/b.pdf"])
        yield settings


@pytest.fixture
async def retrieval(settings: Settings) -> AsyncIterator[Retrieval]:
    client = connect_async(settings)
    yield Retrieval(client)
    await client.close()


def pages(found: list[Found]) -> list[tuple[str, int]]:
    return [(each.document, each.page) for each in found]


def by_numpy(query: np.ndarray) -> dict[tuple[str, int], float]:
    stored = {each: page_vectors(*each).astype(np.float16).astype(np.float32) for each in ALL}
    return {each: max_sim(query, rows) for each, rows in stored.items()}


def best(scores: dict[tuple[str, int], float]) -> list[tuple[str, int]]:
    return sorted(scores, key=lambda each: -scores[each])


async def test_the_exact_search_finds_what_numpy_does(retrieval: Retrieval):
    found = await retrieval.visual(VISUAL, QUERY, Wanted(10), exact=True)
    expected = by_numpy(QUERY)
    assert pages(found) == best(expected)[:10]
    assert [each.score for each in found] == pytest.approx(
        [expected[each] for each in pages(found)], rel=1e-3
    )
    assert found[0].kinds == ("visual",)
    assert found[0].paths[0] == f"/papers/{found[0].document}.pdf"
    assert found[0].label == f"p{found[0].page}"


async def test_the_default_search_scores_only_what_the_tiles_chose(
    retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ingest.search.retrieval.prefetched", lambda points, limit: Prefetched(None, 6))
    tiles = {each: page(*each).vectors["tiles"].astype(np.float32) for each in ALL}
    chosen = best({each: max_sim(QUERY, rows) for each, rows in tiles.items()})[:6]
    found = await retrieval.visual(VISUAL, QUERY, Wanted(10))
    assert pages(found) == [each for each in best(by_numpy(QUERY)) if each in chosen]


@pytest.mark.parametrize("has_regions", [True, False])
async def test_of_many_pages_the_regions_choose_whose_tiles_are_looked_at(
    retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch, has_regions: bool
):
    """A collection of an earlier version has none, and all tiles are looked at."""
    monkeypatch.setattr("ingest.search.retrieval.prefetched", lambda points, limit: Prefetched(7, 3))
    chosen = ALL
    for name, limit in (("regions", 7), ("tiles", 3))[0 if has_regions else 1 :]:
        rows = {each: page(*each).vectors[name].astype(np.float32) for each in chosen}
        chosen = best({each: max_sim(QUERY, of_page) for each, of_page in rows.items()})[:limit]
    found = await retrieval.visual(VISUAL._replace(has_regions=has_regions), QUERY, Wanted(10))
    assert len(found) == 3
    assert pages(found) == [each for each in best(by_numpy(QUERY)) if each in chosen]


async def test_few_pages_are_searched_exactly_by_default(retrieval: Retrieval):
    assert prefetched(len(ALL), 10) is None
    assert await retrieval.visual(VISUAL, QUERY, Wanted(10)) == await retrieval.visual(
        VISUAL, QUERY, Wanted(10), exact=True
    )


async def test_chunks_are_found_by_meaning(retrieval: Retrieval):
    (first,) = await retrieval.text(TEXT, chunk_vector("b", 7), Wanted(1))
    assert (first.document, first.page, first.text, first.heading) == ("b", 4, "text 7", "Letters")
    assert first.score == pytest.approx(1.0, abs=1e-3)


async def test_chunks_are_found_by_their_words(retrieval: Retrieval):
    found = await retrieval.keywords(TEXT, ([13], [1.0]), Wanted(10))
    assert sorted(pages(found)) == [("a", 2), ("b", 2), ("c", 2)]
    assert await retrieval.keywords(TEXT, ([], []), Wanted(10)) == []


async def test_a_chunk_that_is_good_by_meaning_and_by_words_is_first(retrieval: Retrieval):
    found = await retrieval.hybrid(TEXT, chunk_vector("b", 7), ([17], [1.0]), Wanted(3))
    assert (found[0].document, found[0].text) == ("b", "text 7")
    assert found[0].score == pytest.approx(2 / 60, rel=0.05)
    without_words = await retrieval.hybrid(TEXT, chunk_vector("b", 7), ([], []), Wanted(3))
    assert without_words[0].text == "text 7"


@pytest.mark.parametrize(
    ("given", "documents", "numbers"),
    [
        (PageFilter(documents=("a", "c")), {"a", "c"}, {1, 2, 3, 4, 5}),
        (PageFilter(first_page=2, last_page=3), {"a", "b", "c"}, {2, 3}),
        (PageFilter(first_page=5), {"a", "b", "c"}, {5}),
        (PageFilter(paths=("/old/",)), {"b"}, {1, 2, 3, 4, 5}),
        (PageFilter(paths=("/papers/a.pdf", "/papers/c*")), {"a", "c"}, {1, 2, 3, 4, 5}),
        (PageFilter(paths=("*/2019/?.pdf",)), {"b"}, {1, 2, 3, 4, 5}),
        (PageFilter(paths=("/papers/[bc].pdf",), last_page=1), {"b", "c"}, {1}),
        (PageFilter(paths=("/pap*/x*.pdf",)), set(), set()),
    ],
)
async def test_filters_choose_documents_folders_and_pages(
    retrieval: Retrieval, given: PageFilter, documents: set[str], numbers: set[int]
):
    for part in (VISUAL, TEXT):
        wanted = Wanted(100, await retrieval.points(part, given))
        search = (
            retrieval.visual(part, QUERY, wanted)
            if part is VISUAL
            else retrieval.text(part, QUERY[0], wanted)
        )
        found = await search
        assert {each.document for each in found} == documents
        assert {each.page for each in found} == numbers
    assert await retrieval.points(VISUAL, PageFilter()) is None


async def test_a_filter_holds_for_joined_lists_and_for_what_the_tiles_choose(
    retrieval: Retrieval, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ingest.search.retrieval.prefetched", lambda points, limit: Prefetched(8, 4))
    chosen = await retrieval.points(VISUAL, PageFilter(documents=("c",)))
    found = await retrieval.visual(VISUAL, QUERY, Wanted(10, chosen))
    assert {each.document for each in found} == {"c"}
    assert len(found) == 4
    found = await retrieval.hybrid(TEXT, QUERY[0], ([1], [1.0]), Wanted(10, chosen))
    assert {each.document for each in found} == {"c"}
    assert len(found) == 10


async def test_groups_have_the_best_pages_of_each_document(retrieval: Retrieval):
    found = await retrieval.visual(VISUAL, QUERY, Wanted(2, group_size=2))
    order = best(by_numpy(QUERY))
    documents = list(dict.fromkeys(document for document, _ in order))[:2]
    expected = [each for document in documents for each in [one for one in order if one[0] == document][:2]]
    assert pages(found) == sorted(expected, key=order.index)


async def test_hits_below_the_least_score_are_left_out(retrieval: Retrieval):
    everything = await retrieval.visual(VISUAL, QUERY, Wanted(100))
    least = (everything[4].score + everything[5].score) / 2
    found = await retrieval.visual(VISUAL, QUERY, Wanted(100, min_score=least))
    assert pages(found) == pages(everything[:5])


async def test_a_collection_that_is_not_there_is_named(retrieval: Retrieval):
    with pytest.raises(UnknownCollection, match="'letters'"):
        await retrieval.visual(LETTERS, QUERY, Wanted())
    with pytest.raises(UnknownCollection):
        await retrieval.points(LETTERS, PageFilter(paths=("*.pdf",)))


async def test_a_store_that_is_away_is_told(tmp_path: Path):
    client = connect_async(Settings(data=tmp_path))
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await Retrieval(client).visual(VISUAL, QUERY, Wanted())
    await client.close()
