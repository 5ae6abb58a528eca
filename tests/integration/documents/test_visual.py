"""Pages found by what they show, through the real pipeline, store and worker."""

import base64

import pytest

from cli.main import main
from tests.checkpoints.taught_colqwen import COLOURS, PATCH, coloured_page
from tests.support.documents.served import ServedDocuments
from tests.support.images import encode


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("colour", COLOURS)
def test_words_find_the_page_that_shows_what_they_mean(served: ServedDocuments, colour: str, exact: bool):
    reply = served.post(
        "/v1/search", query=f"the {colour} page", collections=["pictures"], mode="visual", exact=exact
    )

    assert len(reply["hits"]) == len(COLOURS)
    assert reply["hits"][0]["paths"] == [f"{served.page_of(colour)}"]


@pytest.mark.parametrize("colour", COLOURS)
def test_an_image_finds_the_page_that_looks_like_it(served: ServedDocuments, colour: str):
    looks = encode(coloured_page(colour, PATCH, PATCH, 3 * PATCH))

    reply = served.post(
        "/v1/search", image=base64.b64encode(looks).decode(), collections=["pictures"], limit=1
    )

    [hit] = reply["hits"]
    assert hit["paths"] == [f"{served.page_of(colour)}"]


def test_the_command_finds_by_words_and_by_image(served: ServedDocuments, capsys: pytest.CaptureFixture[str]):
    asked = ["-c", "pictures", "-n", "1", "--data", f"{served.data}"]
    assert main(["search", "something green", *asked]) == 0
    assert main(["search", "--image", f"{served.page_of('red')}", *asked]) == 0

    said = capsys.readouterr().out.splitlines()
    hits = [line for line in said if line.startswith(" 1 ")]
    assert ["green.png:1" in hits[0], "red.png:1" in hits[1]] == [True, True]


def test_text_and_images_are_searched_together(served: ServedDocuments):
    """Without a mode and a collection: words of the notes, images of the pictures."""
    [note] = served.post("/v1/search", query="oil the chain", collections=["notes"], limit=1)["hits"]
    both = served.post("/v1/search", query="blue", limit=10)["hits"]

    assert note["paths"][0].endswith("bicycle.pdf")
    assert {hit["collection"] for hit in both} == {"notes", "pictures"}


@pytest.mark.parametrize("colour", COLOURS)
def test_a_heatmap_is_hottest_where_the_page_has_the_word_s_colour(served: ServedDocuments, colour: str):
    [hit] = served.post("/v1/search", query=colour, collections=["pictures"], limit=1)["hits"]

    page = f"/v1/collections/pictures/documents/{hit['document']}/pages/{hit['page']}"
    heatmap = served.http.get(f"{page}/heatmap", params={"query": f"{colour} square"}).json()

    assert (heatmap["rows"], heatmap["columns"]) == (7, 5)
    maps = {each["text"]: each["grid"] for each in heatmap["maps"]}
    cells = {(row, column): maps[colour][row][column] for row in range(7) for column in range(5)}
    hottest = sorted(cells, key=lambda cell: -cells[cell])[:4]
    left = [*COLOURS].index(colour)
    assert sorted(hottest) == [(row, column) for row in (3, 4) for column in (left, left + 1)]


def test_a_reranker_reads_the_images_of_the_pages_that_were_found(served: ServedDocuments):
    """`colours` reranks as well as it embeds: the first hit of either is the same, with a score of its own."""
    query = {"query": "the green page", "collections": ["pictures"], "limit": 3}
    found = served.post("/v1/search", **query)["hits"]

    ranked = served.post("/v1/search", **query, rerank_model="colours")

    assert ranked["hits"][0]["paths"] == found[0]["paths"] == [f"{served.page_of('green')}"]
    assert [each["part"] for each in ranked["timings"]] == ["embed", "search", "rerank"]
    assert ranked["notes"] == []
    scores = [each["score"] for each in ranked["hits"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 3


def test_a_second_ingest_of_the_pages_embeds_none_again(served: ServedDocuments):
    done = served.ingest(served.folder / "pictures", "pictures", "visual")

    assert (done["tried"], done["unchanged"]) == (0, len(COLOURS))
