"""POST /v1/ask: the answer with its pages, at once or as a stream."""

import json
from typing import Any

import httpx
import pytest

from jobs.search.errors import StoreUnavailable
from jobs.search.question import NOT_FOUND
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.memory_collections import DOCUMENTS, MemoryCollections
from tests.unit.api.conftest import Connect


@pytest.fixture
def collections() -> MemoryCollections:
    return MemoryCollections()


@pytest.fixture
def client(connect: Connect, collections: MemoryCollections) -> httpx.AsyncClient:
    return connect(MemoryQueue((CHAT_MODEL,)), None, collections)


async def ask(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/ask", json={"question": "lease lasts", **fields})


def events(body: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in body.strip().split("\n\n") if not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_the_answer_comes_with_the_pages_it_was_written_from(client: httpx.AsyncClient):
    reply = (await ask(client)).json()

    (first, *_) = reply["sources"]
    assert reply["answer"] and reply["found"] is True and reply["model"] == CHAT_MODEL.id
    assert (first["number"], first["document"], first["page"]) == (1, DOCUMENTS[0].id, 1)
    assert first["url"] == f"/ui/page/{DOCUMENTS[0].collection}/{DOCUMENTS[0].id}/1"
    assert reply["usage"]["completion_tokens"] > 0


async def test_a_stream_begins_with_the_sources_and_ends_with_what_was_cited(client: httpx.AsyncClient):
    whole = (await ask(client)).json()

    found = events((await ask(client, stream=True)).text)

    names = [name for name, _ in found]
    assert (names[0], names[-1]) == ("sources", "done") and set(names[1:-1]) == {"delta"}
    assert "".join(data["text"] for name, data in found if name == "delta") == whole["answer"]
    assert found[0][1]["sources"] == whole["sources"]
    assert found[-1][1]["finish_reason"] == whole["finish_reason"]


async def test_where_nothing_fits_the_documents_do_not_say(client: httpx.AsyncClient):
    reply = (await ask(client, question="zzz")).json()
    found = events((await ask(client, question="zzz", stream=True)).text)

    assert (reply["answer"], reply["found"], reply["sources"]) == (NOT_FOUND, False, [])
    assert [name for name, _ in found] == ["sources", "delta", "done"] and found[1][1]["text"] == NOT_FOUND


@pytest.mark.parametrize(
    "fields",
    [
        {"question": ""},
        {"sources": 0},
        {"max_tokens": 0},
        {"min_similarity": 2},
        {"filter": {"first_page": 0}},
    ],
)
async def test_what_makes_no_sense_is_refused(client: httpx.AsyncClient, fields: dict[str, Any]):
    reply = await ask(client, **fields)

    assert reply.status_code == 400 and next(iter(fields)) in reply.json()["error"]["message"]


async def test_without_a_store_the_error_says_what_to_start(
    client: httpx.AsyncClient, collections: MemoryCollections
):
    collections.failure = StoreUnavailable()

    reply = await ask(client)

    assert reply.status_code == 503 and "mlxq up" in reply.json()["error"]["message"]
