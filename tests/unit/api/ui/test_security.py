"""Who may ask for pages, and what their replies forbid."""

import httpx
import pytest

from tests.support.console.memory_ingests import MemoryIngests
from tests.unit.api.ui.reading import page, texts

FORM = {"folder": "/home/ada/Documents", "collection": "documents"}
PAGES = ("/ui/search?q=costs", "/ui/ingest", "/ui/ingest/problems?collection=documents", "/ui/nowhere")


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_allows_scripts_styles_or_anything_from_elsewhere(
    console: httpx.AsyncClient, path: str
):
    reply = await console.get(path)

    policy = reply.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_has_anything_that_the_policy_would_block(console: httpx.AsyncClient, path: str):
    tree = page(await console.get(path))

    assert [
        each for each in tree.css("script") if not (each.attributes.get("src") or "").startswith("/ui/")
    ] == []
    assert tree.css("style") == []
    for each in tree.css("*"):
        assert not [name for name in each.attributes if name == "style" or name.startswith(("on", "hx-on"))]
        for name in ("src", "href", "action"):
            assert not (each.attributes.get(name) or "").startswith(("http:", "https:", "//", "javascript:"))


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_form_of_another_site_begins_nothing(
    console: httpx.AsyncClient, ingests: MemoryIngests, site: str
):
    reply = await console.post("/ui/ingest", data=FORM, headers={"Sec-Fetch-Site": site})

    assert reply.status_code == 403
    assert "another web site" in reply.text
    assert ingests.begun == []


async def test_a_browser_that_only_says_its_origin_is_checked_too(
    console: httpx.AsyncClient, ingests: MemoryIngests
):
    foreign = await console.post("/ui/ingest", data=FORM, headers={"Origin": "https://evil.example"})
    opaque = await console.post("/ui/ingest", data=FORM, headers={"Origin": "null"})
    ours = await console.post("/ui/ingest", data=FORM, headers={"Origin": "http://127.0.0.1:8000"})

    assert (foreign.status_code, opaque.status_code, ours.status_code) == (403, 403, 303)
    assert len(ingests.begun) == 1


async def test_a_form_of_our_own_page_is_taken(console: httpx.AsyncClient, ingests: MemoryIngests):
    reply = await console.post("/ui/ingest", data=FORM, headers={"Sec-Fetch-Site": "same-origin"})

    assert reply.status_code == 303
    assert len(ingests.begun) == 1


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example"])
async def test_a_name_that_somebody_points_at_us_is_refused(console: httpx.AsyncClient, host: str):
    reply = await console.get("/ui/search", headers={"Host": host})

    assert reply.status_code == 403
    assert "MLXQ_UI_HOSTS" in reply.text


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "192.168.1.20:8000", "a.localhost"]
)
async def test_addresses_and_this_machines_names_are_taken(console: httpx.AsyncClient, host: str):
    reply = await console.get("/ui/search", headers={"Host": host})

    assert reply.status_code == 200


async def test_the_console_is_no_part_of_the_openapi_document(console: httpx.AsyncClient):
    document = (await console.get("/openapi.json")).json()

    assert not [path for path in document["paths"] if path.startswith("/ui")]


async def test_what_is_not_there_is_a_page_that_leads_on(console: httpx.AsyncClient):
    reply = await console.get("/ui/nowhere/at/all")

    assert reply.status_code == 404
    assert texts(reply, "h1") == ["Not found"]
    assert texts(reply, "main a") == ["Search", "Ingest"]


@pytest.mark.parametrize("path", ["/ui", "/ui/"])
async def test_the_beginning_of_the_console_is_the_search(console: httpx.AsyncClient, path: str):
    reply = await console.get(path)

    assert reply.headers["location"] == "/ui/search"
