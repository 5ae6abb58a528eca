"""Cohere's reranking: two versions, of which the first shares its path with Jina's."""

from typing import Any

import httpx
import pytest

from jobs.errors import NoWorker
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.rerank_requests import DOCUMENTS, QUERY, RANKING, TOKENS, last_reranking, ranking
from tests.unit.api.conftest import Connect

CLIENT = {"X-Fern-SDK-Name": "cohere"}
BODY: dict[str, Any] = {"model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS}
OBJECTS = [
    {"title": "whale", "text": "a blue whale", "page": 7},
    {"title": "fox", "text": "the red one", "page": 8},
]


async def rerank(client: httpx.AsyncClient, version: int = 1, **fields: Any) -> httpx.Response:
    return await client.post(f"/v{version}/rerank", json={**BODY, **fields}, headers=CLIENT)


async def refusal(client: httpx.AsyncClient, version: int = 1, **fields: Any) -> str:
    """The message of a refusal, in Cohere's envelope."""
    reply = await rerank(client, version, **fields)
    assert reply.status_code == 400
    assert list(reply.json()) == ["message"]
    return reply.json()["message"]


@pytest.mark.parametrize("version", [1, 2])
async def test_documents_are_ranked(rerank_client: httpx.AsyncClient, version: int):
    body = (await rerank(rerank_client, version)).json()
    assert body.pop("id")
    assert body == {
        "results": [{"index": index, "relevance_score": score} for index, score in RANKING],
        "meta": {
            "api_version": {"version": str(version)},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": TOKENS},
        },
    }


@pytest.mark.parametrize("version", [1, 2])
async def test_only_the_best_are_given_if_asked(rerank_client: httpx.AsyncClient, version: int):
    assert ranking(await rerank(rerank_client, version, top_n=1)) == RANKING[:1]


@pytest.mark.parametrize("version", [1, 2])
async def test_zero_is_all(rerank_client: httpx.AsyncClient, version: int):
    assert ranking(await rerank(rerank_client, version, top_n=0)) == RANKING


async def test_every_hundred_documents_are_a_search_unit(rerank_client: httpx.AsyncClient):
    reply = await rerank(rerank_client, 2, documents=["fox"] * 101)
    assert reply.json()["meta"]["billed_units"] == {"search_units": 2}


async def test_the_first_version_shows_documents_if_asked(rerank_client: httpx.AsyncClient):
    reply = await rerank(rerank_client, return_documents=True, documents=[*OBJECTS, "red fox"])
    assert [each["document"] for each in reply.json()["results"]] == [
        {"text": "red fox"},
        OBJECTS[1],
        OBJECTS[0],
    ]


async def test_fields_of_objects_are_read_in_the_order_asked(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue
):
    await rerank(rerank_client, documents=OBJECTS)
    assert last_reranking(reranker).documents == ("a blue whale", "the red one")
    await rerank(rerank_client, documents=[*OBJECTS, "a"], rank_fields=["title", "text"])
    assert last_reranking(reranker).documents == ("whale\na blue whale", "fox\nthe red one", "a")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Fern-SDK-Name": "cohere"},
        {"X-Fern-SDK-Name": "cohere-ai"},
        {"User-Agent": "cohere/7.3.1"},
        {"User-Agent": "Cohere/1"},
    ],
)
async def test_coheres_clients_get_coheres_reply(rerank_client: httpx.AsyncClient, headers: dict[str, str]):
    reply = await rerank_client.post("/v1/rerank", json=BODY, headers=headers)
    assert set(reply.json()) == {"id", "results", "meta"}
    refused = await rerank_client.post("/v1/rerank", json={**BODY, "query": ""}, headers=headers)
    assert refused.json() == {"message": "query is empty."}


@pytest.mark.parametrize(
    "field",
    [
        {"max_chunks_per_doc": 1},
        {"max_chunks_per_doc": None},
        {"rank_fields": []},
        {"max_tokens_per_doc": 99},
    ],
)
async def test_fields_that_only_cohere_has_get_coheres_reply(
    rerank_client: httpx.AsyncClient, field: dict[str, Any]
):
    reply = await rerank_client.post("/v1/rerank", json={**BODY, **field})
    assert set(reply.json()) == {"id", "results", "meta"}
    refused = await rerank_client.post("/v1/rerank", json={**BODY, **field, "documents": []})
    assert refused.json() == {"message": "documents is empty."}


async def test_anything_else_gets_jinas_reply(rerank_client: httpx.AsyncClient):
    headers = {"User-Agent": "python-requests/2", "X-Fern-SDK-Name": "another"}
    reply = await rerank_client.post("/v1/rerank", json=BODY, headers=headers)
    assert set(reply.json()) == {"id", "model", "usage", "results"}


async def test_the_first_version_needs_no_model_where_one_reranks(
    connect: Connect, rerank_client: httpx.AsyncClient, reranker: MemoryQueue
):
    assert ranking(await rerank(rerank_client, model=None)) == RANKING
    assert last_reranking(reranker).model == RERANK_MODEL.id
    reply = await rerank(connect(MemoryQueue(models=(MODEL,))), model=None)
    assert (reply.status_code, MODEL.id in reply.json()["message"]) == (404, True)
    assert await refusal(rerank_client, 2, model=None) == "model: Expected `str`, got `null`."


@pytest.mark.parametrize("version", [1, 2])
async def test_an_overlong_document_is_cut_only_if_asked(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, version: int
):
    documents = ["a", "word " * RERANK_MODEL.max_tokens]
    told = await refusal(rerank_client, version, documents=documents)
    assert told == "too many tokens: documents[1] is too long."
    ways: list[dict[str, Any]] = [{"truncate": True}, {"max_tokens_per_doc": RERANK_MODEL.max_tokens}]
    for way in [*ways, {"max_chunks_per_doc": 1}] if version == 1 else ways:
        assert (await rerank(rerank_client, version, documents=documents, **way)).status_code == 200
        assert last_reranking(reranker).truncate


async def test_a_limit_that_no_document_reaches_is_no_matter(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue
):
    longest = max(map(len, DOCUMENTS))
    assert ranking(await rerank(rerank_client, 2, max_tokens_per_doc=longest)) == RANKING
    message = await refusal(rerank_client, 2, max_tokens_per_doc=longest - 1)
    assert message.startswith("max_tokens_per_doc: ")
    assert str(RERANK_MODEL.max_tokens) in message


@pytest.mark.parametrize(
    ("version", "fields", "words"),
    [
        (1, {"max_chunks_per_doc": 10}, "max_chunks_per_doc: "),
        (
            1,
            {"documents": OBJECTS, "rank_fields": ["title", "author"]},
            "documents[0] has no field 'author'.",
        ),
        (1, {"documents": OBJECTS, "rank_fields": ["page"]}, "documents[0]: the field 'page' is no text."),
        (1, {"documents": ["a", {"title": "b"}]}, "documents[1] has no field 'text'."),
        (1, {"documents": ["a", {"text": ""}]}, "documents[1] is empty."),
        (1, {"documents": []}, "documents is empty."),
        (1, {"query": {"text": "a"}}, "query: "),
        (2, {"relevant_spans": {"mode": "enabled"}}, "relevant_spans: "),
        (2, {"documents": [{"text": "a"}]}, "documents[0]: "),
        (2, {"documents": ["a", ""]}, "documents[1] is empty."),
        (2, {"query": ""}, "query is empty."),
        (2, {"top_n": -1}, "top_n: "),
    ],
)
async def test_a_bad_field_is_named(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, version: int, fields: dict[str, Any], words: str
):
    assert (await refusal(rerank_client, version, **fields)).startswith(words)
    assert not reranker.submitted


@pytest.mark.parametrize("field", [b"text", b"title"])
async def test_what_is_no_utf_8_is_refused_wherever_it_is(rerank_client: httpx.AsyncClient, field: bytes):
    documents = b'[{"text":"a","%b":"\xff"}]' % field
    body = b'{"model":"%b","query":"a","return_documents":true,"documents":%b}'
    raw = body % (RERANK_MODEL.id.encode(), documents)
    reply = await rerank_client.post("/v1/rerank", content=raw, headers=CLIENT)
    assert (reply.status_code, "not valid JSON" in reply.json()["message"]) == (400, True)


async def test_what_changes_nothing_is_ignored(rerank_client: httpx.AsyncClient):
    fields = {"relevant_spans": {"mode": "disabled"}, "priority": 3, "unheard_of": 1}
    assert ranking(await rerank(rerank_client, 2, **fields)) == RANKING


@pytest.mark.parametrize("version", [1, 2])
async def test_the_number_of_documents_is_limited(connect: Connect, reranker: MemoryQueue, version: int):
    message = await refusal(connect(reranker, max_inputs=2), version)
    assert message == "documents has 3 items; at most 2 are allowed."


@pytest.mark.parametrize("version", [1, 2])
async def test_other_errors_come_in_coheres_envelope(
    connect: Connect, rerank_client: httpx.AsyncClient, version: int
):
    unknown = await rerank(rerank_client, version, model="none")
    assert (unknown.status_code, list(unknown.json())) == (404, ["message"])
    idle = await rerank(connect(MemoryQueue(models=())), version)
    assert (idle.status_code, idle.json()) == (503, {"message": NoWorker().message})


@pytest.mark.parametrize("version", [1, 2])
async def test_a_reranking_may_be_waited_for_later(rerank_client: httpx.AsyncClient, version: int):
    headers = {**CLIENT, "Prefer": "respond-async"}
    accepted = await rerank_client.post(f"/v{version}/rerank", json=BODY, headers=headers)
    assert accepted.status_code == 202
    view = (await rerank_client.get(accepted.headers["location"])).json()
    assert [each["index"] for each in view["result"]["results"]] == [1, 2, 0]
