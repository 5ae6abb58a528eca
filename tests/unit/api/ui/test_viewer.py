"""/ui/page: a page, what lies over it, and its images."""

from io import BytesIO

import httpx
import pytest
from PIL import Image

from jobs.errors import NoWorker
from jobs.search.errors import DocumentGone, StoreUnavailable
from tests.support.console.drawn_collections import DrawnCollections
from tests.unit.api.ui.reading import links, one, page, texts


@pytest.fixture
def report(collections: DrawnCollections) -> str:
    """Path of the annual report, without a page."""
    return f"/ui/page/documents/{collections.documents[0].id}"


async def test_words_of_the_query_are_marked_where_they_are(
    console: httpx.AsyncClient, collections: DrawnCollections, report: str
):
    words = [
        each for each in collections.documents[0].pages[2].words() if each.text.lower().startswith("costs")
    ]

    reply = await console.get(f"{report}/3?q=costs")

    rectangles = [each.attributes for each in page(reply).css("svg rect")]
    assert len(words) == len(rectangles) == 3
    for word, shown in zip(words, rectangles, strict=True):
        assert float(shown["x"] or 0) == pytest.approx(word.left)
        assert float(shown["y"] or 0) == pytest.approx(word.top)
        assert float(shown["width"] or 0) == pytest.approx(word.right - word.left)
        assert float(shown["height"] or 0) == pytest.approx(word.bottom - word.top)


async def test_a_word_of_the_heatmap_is_chosen_by_the_address(console: httpx.AsyncClient, report: str):
    chosen = await console.get(f"{report}/3?q=costs+energy&heat=1")
    none = await console.get(f"{report}/3?q=costs+energy")

    assert texts(chosen, ".words a") == ["no heatmap", "All words", "costs", "energy"]
    assert texts(chosen, ".words [aria-current]") == ["energy"]
    assert (one(chosen, "#heat").attributes["src"] or "").startswith("data:image/png;base64,")
    assert "src" not in one(none, "#heat").attributes
    assert links(none, ".words a")[1:] == [
        f"{report}/3?q=costs+energy&heat=all",
        f"{report}/3?q=costs+energy&heat=0",
        f"{report}/3?q=costs+energy&heat=1",
    ]


async def test_other_pages_keep_the_search_the_heatmap_and_the_zoom(console: httpx.AsyncClient, report: str):
    reply = await console.get(f"{report}/2?q=costs&mode=text&heat=all&zoom=200")

    kept = "?q=costs&mode=text&heat=all&zoom=200"
    assert links(reply, "#previous, #next") == [f"{report}/1{kept}", f"{report}/3{kept}"]
    assert links(reply, ".back") == ["/ui/search?q=costs&mode=text"]
    assert one(reply, "#page-image").attributes["src"] == f"{report}/2/large"


async def test_a_page_is_gone_to_by_its_number(
    console: httpx.AsyncClient, collections: DrawnCollections, report: str
):
    document = collections.documents[0].id

    reply = await console.get(f"/ui/page?collection=documents&id={document}&page=3&q=costs&zoom=150")

    assert reply.headers["location"] == f"{report}/3?q=costs&zoom=150"


@pytest.mark.parametrize("number", ["0", "4", "-1", "x", "1.5", "99999999999"])
async def test_a_page_that_is_not_there_is_not_found(console: httpx.AsyncClient, report: str, number: str):
    reply = await console.get(f"{report}/{number}")

    assert reply.status_code == 404


async def test_hits_in_the_document_are_in_the_order_of_its_pages(console: httpx.AsyncClient, report: str):
    reply = await console.get(f"{report}/3/hits?q=costs&heat=all")

    assert texts(reply, ".strip b") == ["Page i (1)", "Page 2 (3)"]
    assert texts(reply, "[aria-current] b") == ["Page 2 (3)"]


async def test_images_have_the_size_that_their_use_needs(console: httpx.AsyncClient, report: str):
    sizes = dict[str, int]()
    for name in ("thumbnail", "image", "large"):
        reply = await console.get(f"{report}/1/{name}")
        width, height = Image.open(BytesIO(reply.content)).size
        sizes[name] = width * height
        assert reply.headers["cache-control"] == "private, max-age=86400"

    assert sizes["thumbnail"] < 130_000 < 1_400_000 < sizes["image"] < 1_600_000 < 5_900_000 < sizes["large"]


async def test_without_a_worker_the_page_is_shown_and_says_what_is_missing(
    console: httpx.AsyncClient, collections: DrawnCollections, report: str
):
    collections.failures["heatmap"] = NoWorker("No worker serves the model.")

    reply = await console.get(f"{report}/3?q=costs&heat=all")

    assert reply.status_code == 200
    assert texts(reply, ".notice") == ["No worker serves the model."]
    assert len(page(reply).css("svg rect")) == 3


async def test_a_file_that_has_gone_is_said_once(
    console: httpx.AsyncClient, collections: DrawnCollections, report: str
):
    for method in ("page_text", "page_words", "page_image"):
        collections.failures[method] = DocumentGone()

    reply = await console.get(f"{report}/3?q=costs")
    thumbnail = await console.get(f"{report}/3/thumbnail")

    assert reply.status_code == 200
    assert len(texts(reply, ".notice")) == 1
    assert "mlxq ingest" in texts(reply, ".notice")[0]
    assert thumbnail.headers["content-type"] == "image/svg+xml"
    assert thumbnail.headers["cache-control"] == "private, no-cache"


async def test_without_a_store_there_is_no_page(
    console: httpx.AsyncClient, collections: DrawnCollections, report: str
):
    collections.failures["page_text"] = StoreUnavailable()

    reply = await console.get(f"{report}/3")

    assert reply.status_code == 503


async def test_a_document_without_images_shows_its_text(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    collections.documents[0] = collections.documents[0]._replace(has_images=False)
    path = f"/ui/page/documents/{collections.documents[0].id}/3"

    reply = await console.get(f"{path}?q=costs")
    thumbnail = await console.get(f"{path}/thumbnail")

    assert (thumbnail.status_code, thumbnail.headers["content-type"]) == (200, "image/svg+xml")
    assert "Costs rose by four percent" in one(reply, ".text").text()
    assert "open" in one(reply, ".page-text").attributes
    assert page(reply).css("#page-image, #heat, .words") == []
