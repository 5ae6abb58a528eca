"""Voyage AI's dialect: OpenAI's embeddings with fields of its own, its reranking, its errors."""

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from jobs.embed import EmbedJob
from jobs.errors import NoWorker, Overloaded
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.support.rerank_requests import DOCUMENTS, QUERY, RANKING, TOKENS, last_reranking
from tests.unit.api.conftest import Connect

CLIENT = {"X-Voyage-Client-User-Agent": "{}", "User-Agent": "Voyage/v1 PythonBindings/0.5.0"}
TYPESCRIPT = {"X-Fern-Language": "JavaScript", "X-Fern-SDK-Name": "voyageai", "User-Agent": "voyageai/0.0.8"}
EMBED: dict[str, Any] = {
    "input": ["one", "two three"],
    "model": MODEL.id,
    "input_type": None,
    "truncation": True,
    "output_dtype": None,
    "output_dimension": None,
    "encoding_format": "base64",
}
RERANK: dict[str, Any] = {
    "query": QUERY,
    "documents": DOCUMENTS,
    "model": RERANK_MODEL.id,
    "top_k": None,
    "truncation": True,
}
"""What the client sends, all of it."""


NAMELESS = {"User-Agent": "python-requests/2.34.2"}
"""Its Python client's: 0.5.0 sends no header that names it."""


async def embed(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/embeddings", json={**EMBED, **fields}, headers=CLIENT)


async def rerank(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/rerank", json={**RERANK, **fields}, headers=CLIENT)


def last_embedding(queue: MemoryQueue) -> EmbedJob:
    job = queue.submitted[-1][0]
    assert isinstance(job, EmbedJob)
    return job


@pytest.mark.parametrize(
    ("fields", "truncate", "dimensions"),
    [
        ({}, "end", None),
        ({"truncation": False}, "none", None),
        ({"truncation": None}, "end", None),
        ({"truncation": None, "truncate": "none"}, "none", None),
        ({"truncation": None, "truncate": "start"}, "start", None),
        ({"truncation": True, "truncate": "start"}, "start", None),
        ({"output_dimension": 384}, "end", 384),
        ({"output_dimension": 384, "dimensions": 384}, "end", 384),
    ],
)
async def test_fields_of_voyages_own_are_heeded(
    client: httpx.AsyncClient,
    queue: MemoryQueue,
    fields: dict[str, Any],
    truncate: str,
    dimensions: int | None,
):
    assert (await embed(client, **fields)).status_code == 200
    job = last_embedding(queue)
    assert (job.truncate, job.dimensions, job.input_type) == (truncate, dimensions, None)


@pytest.mark.parametrize(
    ("dtype", "code", "size"),
    [
        (None, "f4", 384),
        ("float", "f4", 384),
        ("int8", "i1", 384),
        ("uint8", "u1", 384),
        ("binary", "i1", 48),
        ("ubinary", "u1", 48),
    ],
)
async def test_vectors_come_in_each_type(client: httpx.AsyncClient, dtype: str | None, code: str, size: int):
    data = (await embed(client, output_dtype=dtype)).json()["data"]
    found = [np.frombuffer(base64.b64decode(each["embedding"]), code) for each in data]
    assert [len(each) for each in found] == [size, size]


async def test_unsigned_integers_are_the_signed_ones_and_128(client: httpx.AsyncClient):
    signed, unsigned = [
        (await embed(client, output_dtype=dtype, encoding_format="float")).json()["data"][0]["embedding"]
        for dtype in ("int8", "uint8")
    ]
    assert unsigned == [value + 128 for value in signed]
    assert max(abs(value) for value in signed) == 127


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"truncation": False, "truncate": "end"}, "truncate and truncation contradict"),
        ({"output_dimension": 384, "dimensions": 100}, "output_dimension contradict"),
        ({"output_dimension": 0}, "output_dimension"),
        ({"output_dtype": "float8"}, "output_dtype"),
        ({"input": []}, "input"),
    ],
)
async def test_errors_are_read_by_the_client(client: httpx.AsyncClient, fields: dict[str, Any], told: str):
    reply = await embed(client, **fields)
    assert (reply.status_code, list(reply.json())) == (400, ["detail"])
    assert told in reply.json()["detail"]


async def test_documents_are_ranked(rerank_client: httpx.AsyncClient, reranker: MemoryQueue):
    body = (await rerank(rerank_client)).json()
    ranking = [{"index": index, "relevance_score": score} for index, score in RANKING]
    assert body == {
        "object": "list",
        "data": ranking,
        "model": RERANK_MODEL.id,
        "usage": {"total_tokens": TOKENS},
    }
    assert last_reranking(reranker).truncate
    few = (await rerank(rerank_client, top_k=1, return_documents=True, truncation=False)).json()["data"]
    assert few == [{**ranking[0], "document": DOCUMENTS[ranking[0]["index"]]}]
    assert not last_reranking(reranker).truncate


@pytest.mark.parametrize(
    ("error", "status"), [(NoWorker(), 503), (Overloaded(retry_after_s=7), 429)], ids=["no worker", "full"]
)
async def test_other_errors_are_in_its_form_too(connect: Connect, error: Any, status: int):
    client = connect(MemoryQueue(models=(MODEL, CHAT_MODEL, RERANK_MODEL), failure=error))
    for reply in (await embed(client), await rerank(client)):
        assert (reply.status_code, reply.json()) == (status, {"detail": error.message})
    unknown = await client.post("/v1/multimodalembeddings", json={}, headers=CLIENT)
    assert (unknown.status_code, list(unknown.json())) == (404, ["detail"])


@pytest.mark.parametrize(
    "headers", [CLIENT, TYPESCRIPT, *({name: TYPESCRIPT[name]} for name in ("X-Fern-SDK-Name", "User-Agent"))]
)
async def test_each_of_its_clients_is_known(
    connect: Connect, queue: MemoryQueue, reranker: MemoryQueue, headers: dict[str, str]
):
    body = {"model": MODEL.id, "input": "one"}
    assert (await connect(queue).post("/v1/embeddings", json=body, headers=headers)).status_code == 200
    assert last_embedding(queue).truncate == "end"
    refused = await connect(queue).post("/v1/embeddings", json={}, headers=headers)
    assert (refused.status_code, list(refused.json())) == (400, ["detail"])
    asked = {"model": RERANK_MODEL.id, "query": QUERY, "documents": DOCUMENTS, "top_k": 1}
    ranking = (await connect(reranker).post("/v1/rerank", json=asked, headers=headers)).json()
    assert [each["index"] for each in ranking["data"]] == [RANKING[0][0]]
    assert last_reranking(reranker).truncate


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embeddings"])
async def test_the_body_of_its_embeddings_tells_whose_it_is(client: httpx.AsyncClient, path: str):
    assert (await client.post(path, json=EMBED, headers=NAMELESS)).status_code == 200
    for wrong in (
        {"input": []},
        {"input": 5},
        {"truncation": "x"},
        {"model": "none"},
        {"output_dimension": 0},
    ):
        refused = await client.post(path, json={**EMBED, **wrong}, headers=NAMELESS)
        assert (refused.status_code in (400, 404), list(refused.json())) == (True, ["detail"]), wrong


@pytest.mark.parametrize(
    "body",
    [
        '{"input": "\\"truncation\\"", "model": "none"}',
        '{"input": "\\"truncation\\": 1", "model": 1}',
        '{"truncation"',
    ],
)
async def test_a_text_about_it_makes_no_body_voyages(client: httpx.AsyncClient, body: str):
    assert list((await client.post("/v1/embeddings", content=body)).json()) == ["error"]


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank"])
async def test_the_body_of_its_reranking_tells_whose_it_is(rerank_client: httpx.AsyncClient, path: str):
    reply = await rerank_client.post(path, json=RERANK, headers=NAMELESS)
    assert [each["index"] for each in reply.json()["data"]] == [index for index, _ in RANKING]
    for wrong in ({"documents": []}, {"top_k": "x"}, {"model": "none"}, {"truncation": 5}):
        refused = await rerank_client.post(path, json={**RERANK, **wrong}, headers=NAMELESS)
        assert (refused.status_code in (400, 404), list(refused.json())) == (True, ["detail"]), wrong
    jinas = await rerank_client.post(path, json={**RERANK, "top_n": 1}, headers=NAMELESS)
    assert len(jinas.json()["results"]) == 1


async def test_of_other_callers_nothing_is_cut_unasked(client: httpx.AsyncClient, queue: MemoryQueue):
    reply = await client.post("/v1/embeddings", json={"model": MODEL.id, "input": "one"})
    assert (reply.status_code, last_embedding(queue).truncate) == (200, "none")
