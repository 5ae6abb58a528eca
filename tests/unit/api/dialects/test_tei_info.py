"""/info and /similarity of text-embeddings-inference, and its endpoints that are not served."""

from typing import Any

import httpx
import pytest

from jobs.embed import EmbedJob
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.api.conftest import Connect

SENTENCES = {"source_sentence": "a fox", "sentences": ["a fox", "a car"]}


async def test_info_tells_of_the_embedding_model(chat_client: httpx.AsyncClient):
    found = (await chat_client.get("/info")).json()
    assert (found["model_id"], found["max_input_length"]) == (MODEL.id, MODEL.max_tokens)
    assert found["model_type"] == {"embedding": {"pooling": "unknown"}}
    assert (found["auto_truncate"], found["max_client_batch_size"], found["sha"]) == (False, 2048, None)


async def test_info_tells_of_the_reranker(connect: Connect):
    found = (await connect(MemoryQueue(models=(RERANK_MODEL,))).get("/info")).json()
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    assert found["model_type"] == {"reranker": labels}


@pytest.mark.parametrize(
    ("models", "name", "status", "words"),
    [
        ((MODEL, RERANK_MODEL), None, 400, f"{MODEL.id}, {RERANK_MODEL.id}. Name it"),
        ((MODEL, CHAT_MODEL), CHAT_MODEL.id, 400, "neither embeds nor reranks"),
        ((MODEL,), "nope", 404, "No worker serves"),
        ((CHAT_MODEL,), None, 503, "No model that embeds or reranks"),
    ],
)
async def test_info_asks_which_model(
    connect: Connect, models: Any, name: str | None, status: int, words: str
):
    reply = await connect(MemoryQueue(models=models)).get("/info", params={"model": name} if name else {})
    assert reply.status_code == status
    assert words in reply.json()["error"]


async def test_sentences_are_compared_with_a_source(client: httpx.AsyncClient, queue: MemoryQueue):
    reply = await client.post("/similarity", json={"inputs": SENTENCES, "parameters": {"truncate": True}})
    same, other = reply.json()
    assert same == pytest.approx(1)
    assert -1 <= other < same
    assert [job for job, _ in queue.submitted] == [
        EmbedJob(MODEL.id, ("a fox",), truncate="end"),
        EmbedJob(MODEL.id, ("a fox", "a car"), truncate="end"),
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "inputs"),
        ({"inputs": {"source_sentence": "a", "sentences": []}}, "`sentences` cannot be empty"),
        ({"inputs": {"source_sentence": "a", "sentences": ["b"] * 3}}, "inputs.sentences has 3"),
        ({"inputs": SENTENCES, "parameters": {"prompt_name": "query"}}, "parameters.prompt_name: "),
        (
            {"inputs": SENTENCES, "parameters": {"truncate": True, "truncation_direction": "left"}},
            "truncation_direction",
        ),
    ],
)
async def test_a_comparison_that_cannot_be_made_is_refused(
    connect: Connect, queue: MemoryQueue, body: dict[str, Any], words: str
):
    reply = await connect(queue, max_inputs=2).post("/similarity", json=body)
    assert (reply.status_code, reply.json()["error_type"]) == (400, "Validation")
    assert words in reply.json()["error"]
    assert not queue.submitted


async def test_several_vectors_of_a_sentence_are_not_compared(connect: Connect):
    reply = await connect(MemoryQueue(models=(PAGE_MODEL,))).post("/similarity", json={"inputs": SENTENCES})
    assert (reply.status_code, "several vectors" in reply.json()["error"]) == (400, True)


@pytest.mark.parametrize("path", ["/predict", "/embed_all", "/embed_sparse"])
async def test_what_is_not_served_says_what_to_use_in_its_form(client: httpx.AsyncClient, path: str):
    reply = await client.post(path, json={"inputs": "a"})
    assert (reply.status_code, reply.json()["error_type"]) == (400, "Validation")
    assert "send" in reply.json()["error"]


@pytest.mark.parametrize("path", ["/classify", "/embeddings_audio"])
async def test_what_vllm_and_infinity_serve_besides_is_refused_in_their_form(
    client: httpx.AsyncClient, path: str
):
    reply = await client.post(path, json={"input": ["a"]})
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
