"""/rerank: the body tells whether it is text-embeddings-inference's dialect or that of the servers with `documents`."""

from typing import Any

import httpx
import pytest

from jobs.rerank import RerankJob
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.rerank_requests import DOCUMENTS, QUERY, RANKING, TOKENS, last_reranking, ranking

WITH_DOCUMENTS = {"model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS}


async def rerank(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/rerank", json={**WITH_DOCUMENTS, **fields})


async def test_documents_are_ranked_and_shown(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    reply = await rerank(rerank_client)

    assert ranking(reply) == RANKING
    body = reply.json()
    assert body["model"] == RERANK_MODEL.id
    assert body["usage"]["total_tokens"] == TOKENS
    assert [each["document"]["text"] for each in body["results"]] == [
        DOCUMENTS[index] for index, _ in RANKING
    ]
    assert last_reranking(reranker) == RerankJob(RERANK_MODEL.id, QUERY, tuple(DOCUMENTS))


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"top_n": 1}, 1),
        ({"top_n": 0}, 3),
        ({"top_n": None, "return_documents": None, "texts": None}, 3),
        ({"return_documents": False, "top_n": 2}, 2),
    ],
)
async def test_its_fields_are_those_of_v1_rerank(
    rerank_client: httpx.AsyncClient, fields: dict[str, Any], kept: int
):
    assert ranking(await rerank(rerank_client, **fields)) == RANKING[:kept]


async def test_texts_are_those_of_text_embeddings_inference(rerank_client: httpx.AsyncClient):
    for more in ({}, {"documents": None}, {"documents": DOCUMENTS}):
        reply = await rerank_client.post("/rerank", json={"query": QUERY, "texts": DOCUMENTS, **more})
        assert reply.json() == [{"index": index, "score": score} for index, score in RANKING]


@pytest.mark.parametrize("fields", [{"query": ""}, {"documents": []}, {"model": CHAT_MODEL.id}])
async def test_errors_of_documents_have_openais_form(
    rerank_client: httpx.AsyncClient, fields: dict[str, Any]
):
    reply = await rerank(rerank_client, **fields)
    assert reply.status_code == 400
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("body", [{"query": QUERY}, {"texts": DOCUMENTS}, {}])
async def test_errors_of_any_other_body_have_tei_form(rerank_client: httpx.AsyncClient, body: dict[str, Any]):
    reply = await rerank_client.post("/rerank", json=body)
    assert reply.status_code == 400
    assert set(reply.json()) == {"error", "error_type"}


async def test_a_field_of_coheres_is_not_ignored(rerank_client: httpx.AsyncClient):
    reply = await rerank(rerank_client, max_tokens_per_doc=7)
    assert (reply.status_code, list(reply.json())) == (400, ["message"])
    taken = await rerank(rerank_client, max_tokens_per_doc=4096)
    assert taken.json()["meta"]["api_version"]["version"] == "1"


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
@pytest.mark.parametrize("way", [{"truncate": True}, {"truncation": True}, {"truncate_prompt_tokens": -1}])
async def test_an_overlong_document_is_cut_only_if_asked(
    rerank_client: httpx.AsyncClient, path: str, way: dict[str, Any]
):
    body = {**WITH_DOCUMENTS, "documents": ["word " * RERANK_MODEL.max_tokens]}
    assert (await rerank_client.post(path, json=body)).status_code == 400
    assert (await rerank_client.post(path, json={**body, **way})).status_code == 200


async def test_a_number_of_tokens_to_cut_at_is_refused(rerank_client: httpx.AsyncClient):
    reply = await rerank(rerank_client, truncate_prompt_tokens=10)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "truncate_prompt_tokens")
