"""POST /v1/search: what is asked of collections, and what is refused before."""

from typing import Any

import httpx
import pytest

from jobs.search.query import PageFilter, SearchQuery
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.memory_collections import DOCUMENTS, MemoryCollections
from tests.unit.api.conftest import Connect
from tests.unit.api.requests.test_images import ENCODED, IMAGE, FakeImages


@pytest.fixture
def collections() -> MemoryCollections:
    return MemoryCollections()


@pytest.fixture
def client(connect: Connect, collections: MemoryCollections) -> httpx.AsyncClient:
    return connect(MemoryQueue(), FakeImages(), collections)


async def search(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/search", json=fields)


async def test_hits_come_with_document_page_label_and_the_matching_words(client: httpx.AsyncClient):
    reply = (await search(client, query="cats dogs")).json()
    best = reply["hits"][0]
    assert (best["document"], best["page"], best["label"]) == (DOCUMENTS[1].id, 2, "p. 2")
    assert [best["snippet"][start:end] for start, end in best["matches"]] == ["Dogs", "cats"]
    assert [hit["page"] for hit in reply["hits"]] == [2, 1]
    assert {each["part"] for each in reply["timings"]} == {"embed", "search"}


async def test_hits_are_grouped_by_document(client: httpx.AsyncClient):
    reply = (await search(client, query="cats lease", group_by_document=True, group_size=1)).json()
    assert [len(group["hits"]) for group in reply["groups"]] == [1, 1]
    assert reply["hits"] == []


async def test_every_field_of_the_request_is_asked_of_the_collections(
    client: httpx.AsyncClient, collections: MemoryCollections
):
    chosen = {"documents": ["d"], "paths": ["/a/"], "first_page": 2, "last_page": 3}
    reply = await search(
        client,
        query=" fox ",
        image=ENCODED,
        collections=["notes"],
        limit=7,
        mode="visual",
        exact=True,
        filter=chosen,
        group_by_document=True,
        group_size=2,
        rerank_model="org/reranker",
        min_score=0.5,
    )
    assert reply.status_code == 200
    assert collections.asked == [
        SearchQuery(
            "fox",
            IMAGE,
            ("notes",),
            7,
            "visual",
            True,
            PageFilter(("d",), ("/a/",), 2, 3),
            True,
            2,
            "org/reranker",
            0.5,
        )
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "query"),
        ({"query": "  "}, "query"),
        ({"query": "a", "limit": 0}, "limit"),
        ({"query": "a", "mode": "guess"}, "mode"),
        ({"query": "a", "filter": {"first_page": 0}}, "filter"),
        ({"image": "no base64!"}, "image"),
        ({"image": "https://bad.example/page.png"}, "image"),
    ],
)
async def test_what_cannot_be_searched_for_is_refused_by_the_field(
    client: httpx.AsyncClient, collections: MemoryCollections, fields: dict[str, Any], param: str
):
    reply = await search(client, **fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert not collections.asked


async def test_an_unknown_collection_is_not_found(client: httpx.AsyncClient):
    reply = await search(client, query="a", collections=["attic"])
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "collection_not_found")


async def test_without_collections_the_reply_says_what_to_do(connect: Connect):
    reply = await search(connect(MemoryQueue()), query="a")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "store_unavailable")
    assert "mlxq up" in reply.json()["error"]["message"]
    assert reply.headers["retry-after"] == "5"
