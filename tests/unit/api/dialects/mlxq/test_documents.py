"""Collections, their documents, and the pages of these."""

import io

import httpx
import pytest
from PIL import Image

from jobs.search.errors import DocumentGone
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.memory_collections import COLUMNS, DOCUMENTS, ROWS, MemoryCollections
from tests.unit.api.conftest import Connect

CATS = DOCUMENTS[1]
PAGE = f"/v1/collections/documents/documents/{CATS.id}/pages/2"


@pytest.fixture
def collections() -> MemoryCollections:
    return MemoryCollections()


@pytest.fixture
def client(connect: Connect, collections: MemoryCollections) -> httpx.AsyncClient:
    return connect(MemoryQueue(), collections=collections)


async def test_collections_are_listed_with_the_models_of_their_vectors(client: httpx.AsyncClient):
    found = (await client.get("/v1/collections")).json()["data"]
    assert [(each["name"], each["documents"]) for each in found] == [("documents", 2), ("notes", 1)]
    assert found[0]["parts"][0]["model"] == "org/model"


async def test_a_list_of_documents_goes_on_where_it_ended(client: httpx.AsyncClient):
    path = "/v1/collections/documents/documents?limit=1"
    first = (await client.get(path)).json()
    second = (await client.get(f"{path}&after={first['next']}")).json()
    assert [first["has_more"], second["has_more"], second["next"]] == [True, False, None]
    ids = [each["document"] for each in first["data"] + second["data"]]
    assert ids == sorted(each.id for each in DOCUMENTS[:2])


async def test_a_document_tells_its_paths_and_pages(client: httpx.AsyncClient):
    found = (await client.get(f"/v1/collections/documents/documents/{CATS.id}")).json()
    assert (found["paths"], found["pages"]) == ([CATS.path], 3)


async def test_a_page_is_an_image_of_at_most_so_many_pixels(client: httpx.AsyncClient):
    reply = await client.get(f"{PAGE}/image?max_pixels=2048")
    assert reply.headers["content-type"] == "image/png"
    assert "max-age" in reply.headers["cache-control"]
    width, height = Image.open(io.BytesIO(reply.content)).size
    assert width * height <= 2048


async def test_words_of_the_query_are_marked_on_the_page(client: httpx.AsyncClient):
    words = (await client.get(f"{PAGE}/words?query=CATS")).json()["data"]
    assert [each["text"] for each in words if each["matches"]] == ["cats"]


async def test_a_heatmap_has_a_grid_for_each_part_of_the_query(client: httpx.AsyncClient):
    found = (await client.get(f"{PAGE}/heatmap?query=two+words")).json()
    assert [each["text"] for each in found["maps"]] == ["two", "words"]
    assert (len(found["maps"][0]["grid"]), len(found["maps"][0]["grid"][0])) == (ROWS, COLUMNS)


@pytest.mark.parametrize("page", ["0", "99", "x", "1" * 5000, "-1", "1.0"])
async def test_a_page_that_is_none_is_not_found(client: httpx.AsyncClient, page: str):
    reply = await client.get(f"/v1/collections/documents/documents/{CATS.id}/pages/{page}/image")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "document_not_found")


async def test_a_file_that_is_gone_is_said_so_and_not_asked_for_again(
    client: httpx.AsyncClient, collections: MemoryCollections
):
    collections.failure = DocumentGone("/docs/a.pdf is gone.")
    reply = await client.get(f"{PAGE}/image")
    assert (reply.status_code, reply.json()["error"]["message"]) == (410, "/docs/a.pdf is gone.")
    assert reply.headers["x-should-retry"] == "false"
