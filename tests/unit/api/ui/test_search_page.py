"""/ui/search: what is asked for is in the address, what is found is grouped by document."""

import httpx
import pytest

from jobs.errors import NoWorker
from jobs.search.errors import StoreUnavailable
from jobs.search.query import PageFilter
from tests.support.console.drawn_collections import DrawnCollections
from tests.support.images import plain
from tests.unit.api.ui.reading import links, one, page, texts


async def test_before_a_search_the_page_says_what_can_be_searched(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    reply = await console.get("/ui/search")

    assert texts(reply, "#found tbody th") == ["contracts", "documents"]
    assert collections.asked == []


async def test_hits_are_grouped_by_document_with_thumbnails_scores_labels_and_marked_words(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    report = collections.documents[0]

    reply = await console.get("/ui/search?q=costs+rose&in=documents")

    assert texts(reply, ".document h2")[0] == "PDFAnnual report 2025.pdf"
    assert texts(reply, ".summary")[0].startswith("4 pages in 2 documents")
    first = page(reply).css(".document")[0]
    assert [" ".join(each.text().split()) for each in first.css(".hit-head b")] == [
        "Page 2 (3)",
        "Page i (1)",
    ]
    assert [each.text() for each in first.css(".score")] == ["5.81", "2.37"]
    assert [each.text() for each in first.css(".hit")[0].css("mark")] == ["Costs", "rose"]
    image = first.css(".hit img")[0].attributes
    assert image["src"] == f"/ui/page/documents/{report.id}/3/thumbnail"
    assert image["loading"] == "lazy"
    assert "also at 1 place" in first.text()


async def test_the_whole_search_is_in_the_address(console: httpx.AsyncClient, collections: DrawnCollections):
    document = collections.documents[0].id

    reply = await console.get(
        f"/ui/search?q=+costs+&in=documents&in=contracts&mode=hybrid&path=/home/&document={document}"
        "&from=1&to=3&exact=1&min=0.5&documents=25&rerank=org/reranker"
    )

    [asked] = collections.asked
    assert (asked.text, asked.mode, asked.exact, asked.limit) == ("costs", "hybrid", True, 25)
    assert asked.collections == ("documents", "contracts")
    assert asked.filter == PageFilter((document,), ("/home/",), 1, 3)
    assert (asked.min_score, asked.rerank_model) == (0.5, "org/reranker")
    form = page(reply).css_first("#search")
    assert form is not None
    assert form.css('input[name="mode"][checked]')[0].attributes["value"] == "hybrid"
    assert [each.attributes["value"] for each in form.css('input[name="in"][checked]')] == [
        "contracts",
        "documents",
    ]
    assert form.css('input[name="document"]')[0].attributes["value"] == document


async def test_every_filter_can_be_taken_away_by_a_link(console: httpx.AsyncClient):
    reply = await console.get("/ui/search?q=costs&path=*.pdf&from=2&exact=1")

    assert texts(reply, ".chips a") == [
        "path *.pdf ×: remove", "from page 2 ×: remove", "exact ×: remove",
    ]  # fmt: skip
    assert links(reply, ".chips a") == [
        "/ui/search?q=costs&from=2&exact=1",
        "/ui/search?q=costs&path=%2A.pdf&exact=1",
        "/ui/search?q=costs&path=%2A.pdf&from=2",
    ]


async def test_a_hit_leads_to_its_page_with_the_search(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    reply = await console.get("/ui/search?q=rent&mode=text")

    [hit, *_] = links(reply, ".hit")
    lease = collections.documents[2].id
    assert hit == f"/ui/page/contracts/{lease}/2?q=rent&mode=text&heat=all"
    assert (await console.get(hit)).status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("mode=best", "mode"),
        ("from=0", "from"),
        ("to=x", "to"),
        ("min=high", "min"),
        ("documents=-1", "documents"),
        ("document=../../etc/passwd", "document"),
        ("image=../../etc/passwd-1", "image"),
        ("from=9999999999999999999999", "from"),
        ("to=²", "to"),
    ],
)
async def test_an_address_that_makes_no_sense_says_which_part(
    console: httpx.AsyncClient, collections: DrawnCollections, query: str, field: str
):
    reply = await console.get(f"/ui/search?q=costs&{query}")

    assert reply.status_code == 400
    assert field in one(reply, "#found [role=alert]").text()
    assert collections.asked == []


async def test_nothing_found_suggests_what_to_change(console: httpx.AsyncClient):
    reply = await console.get("/ui/search?q=zebra&mode=text&in=documents&from=1")

    assert texts(reply, "#found h2") == ["Nothing was found"]
    assert links(reply, ".empty a") == [
        "/ui/search?q=zebra&mode=text&from=1",
        "/ui/search?q=zebra&in=documents&from=1",
    ]


async def test_without_collections_the_page_says_how_to_ingest(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    collections.documents.clear()

    reply = await console.get("/ui/search")

    assert "mlxq ingest ~/Documents" in texts(reply, "#found code")


async def test_without_a_store_the_page_says_how_to_start_it(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    collections.failures["list_collections"] = StoreUnavailable()

    reply = await console.get("/ui/search?q=costs")

    assert reply.status_code == 503
    assert texts(reply, "#found pre") == ["mlxq up"]


async def test_without_a_worker_the_form_stays_and_the_page_says_how_to_start_one(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    collections.failures["search"] = NoWorker()

    reply = await console.get("/ui/search?q=costs")

    assert reply.status_code == 503
    assert texts(reply, "#found pre") == ["mlxq up --model NAME"]
    assert one(reply, "#q").attributes["value"] == "costs"


async def test_an_unexpected_error_shows_nothing_of_itself(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    collections.failures["search"] = RuntimeError("the secret")

    reply = await console.get("/ui/search?q=costs")

    assert reply.status_code == 500
    assert "the secret" not in reply.text


async def test_the_script_is_told_the_short_address(console: httpx.AsyncClient):
    reply = await console.get(
        "/ui/search?q=costs&mode=&path=&from=&to=&min=&documents=", headers={"HX-Request": "true"}
    )

    assert reply.headers["hx-push-url"] == "/ui/search?q=costs"


async def test_an_uploaded_image_becomes_a_part_of_the_address(
    console: httpx.AsyncClient, collections: DrawnCollections
):
    image = plain(8, 6)

    reply = await console.post(
        "/ui/search/image", data={"mode": "visual", "q": "costs"}, files={"file": ("a.png", image)}
    )
    found = await console.get(reply.headers["location"])
    shown = await console.get(one(found, ".query-image img").attributes["src"] or "")

    assert reply.status_code == 303
    assert (collections.asked[0].image, collections.asked[0].mode, collections.asked[0].text) == (
        image,
        "visual",
        "costs",
    )
    assert (shown.content, shown.headers["content-type"]) == (image, "image/png")
    assert "image=" not in links(found, ".query-image a")[0]


@pytest.mark.parametrize(
    ("content", "type_", "status"),
    [
        (b"", "multipart/form-data; boundary=x", 400),
        (
            b"--x\r\nContent-Disposition: form-data; name=q\r\n\r\na\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
            400,
        ),
        (b"q=a", "application/x-www-form-urlencoded", 400),
        (b"no form at all", "multipart/form-data", 400),
        (b"x" * 100_001, "multipart/form-data; boundary=x", 413),
    ],
)
async def test_an_upload_that_is_no_image_form_is_refused(
    console: httpx.AsyncClient, content: bytes, type_: str, status: int
):
    reply = await console.post("/ui/search/image", content=content, headers={"Content-Type": type_})

    assert reply.status_code == status
    assert texts(reply, "[role=alert] h2") == ["This cannot be done"]


async def test_an_image_that_is_not_kept_any_more_says_so(console: httpx.AsyncClient):
    reply = await console.get(f"/ui/search?image={'0' * 64}-77")

    assert reply.status_code == 400
    assert "choose it again" in one(reply, "#found [role=alert]").text()


async def test_everything_that_can_be_operated_has_a_name(console: httpx.AsyncClient):
    for path in ("/ui/search?q=costs&from=1", "/ui/ingest"):
        tree = page(await console.get(path))
        labelled = {each.attributes.get("for") for each in tree.css("label[for]")}
        for each in tree.css("input:not([type=hidden]), select"):
            inside = each.parent
            while inside is not None and inside.tag != "label":
                inside = inside.parent
            assert inside is not None or each.attributes.get("id") in labelled, each.html
        assert all("alt" in each.attributes for each in tree.css("img"))
        assert all(each.text().strip() or each.attributes.get("aria-label") for each in tree.css("a, button"))
        assert len(tree.css("h1")) == 1
