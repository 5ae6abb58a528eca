"""Replies and streams, in all their forms, are as the document says."""

from typing import Any

import pytest

from jobs import errors
from jobs.models import ModelInfo
from tests.support.documented import Endpoint, items_of
from tests.support.memory_queue import MemoryQueue
from tests.support.vectors.memory_collections import MemoryCollections
from tests.unit.api.conftest import Connect
from tests.unit.api.openapi.documented_api import (
    DOCUMENT,
    DOCUMENTED,
    MODELS,
    WORK,
    ask,
    name_of,
    streaming_job,
)

IMAGE = DOCUMENTED.endpoint_of("POST", "/v1/similarity-maps").example["image"]
_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"tools": [_TOOL], "tool_choice": "required"},
    "/v1/messages": {"tools": [{"name": "look", "input_schema": {}}], "tool_choice": {"type": "any"}},
    "/api/chat": {"tools": [_TOOL]},
}
"""Fields with which each dialect asks for calls."""


@pytest.mark.parametrize("endpoint", WORK, ids=name_of)
async def test_work_that_waits_is_answered_as_documented(connect: Connect, endpoint: Endpoint):
    queue = MemoryQueue(MODELS, held=True, limit=2)
    client = connect(queue)
    for status, headers in (
        (202, {"Prefer": "respond-async", "Idempotency-Key": "one"}),
        (202 if endpoint.path == "/v1/jobs" else 504, {"Prefer": "wait=0"}),
        (202, {"Prefer": "respond-async", "Idempotency-Key": "two"}),
        (429, {"Prefer": "respond-async"}),
    ):
        reply = await ask(client, endpoint, headers=headers)
        if endpoint.path != "/v1/jobs" or reply.status_code != 429:
            assert reply.status_code == status, headers
        DOCUMENTED.check(reply)
    reused = {"Prefer": "respond-async", "Idempotency-Key": "one"}
    DOCUMENTED.check(await ask(client, endpoint, headers=reused, model="PAGE-MODEL"))


@pytest.mark.parametrize("endpoint", [each for each in DOCUMENTED.endpoints if each.streams], ids=name_of)
async def test_streams_hold_the_items_that_are_documented(connect: Connect, endpoint: Endpoint):
    client = connect(MemoryQueue(MODELS), collections=MemoryCollections())
    fields: list[dict[str, Any]] = [
        {},
        {"stream_options": {"include_usage": True}, "n": 2},
        {"logprobs": True, "top_logprobs": 2} if endpoint.path != "/v1/completions" else {"logprobs": 2},
        {"chat_template_kwargs": {"enable_thinking": True}, "think": True, "thinking": {"type": "enabled"}},
        CALLS.get(endpoint.path, {}),
    ]
    for each in fields:
        streamed: dict[str, Any] = {**each, "stream": True}
        whole: dict[str, Any] = {**each, "stream": False}
        reply = await ask(client, endpoint, await streaming_job(client), **streamed)
        assert reply.status_code == 200, reply.text
        assert list(items_of(reply.text, reply.headers["content-type"]))
        DOCUMENTED.check(reply)
        if endpoint.example:
            DOCUMENTED.check(await ask(client, endpoint, **whole))


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "a"},
        {"input": "a", "encoding_format": "base64"},
        {"input": "a", "output_dtype": "int8"},
        {"model": "PAGE-MODEL", "input": "a b"},
        {"model": "PAGE-MODEL", "input": "a b", "encoding_format": "base64"},
        {"model": "PAGE-MODEL", "input": {"image": IMAGE}, "patch_grids": True},
    ],
)
async def test_vectors_in_every_form_are_as_documented(connect: Connect, fields: dict[str, Any]):
    client = connect(MemoryQueue(MODELS))
    endpoint = DOCUMENTED.endpoint_of("POST", "/v1/embeddings")
    reply = await ask(client, endpoint, **fields)
    assert reply.status_code == 200, reply.text
    DOCUMENTED.check(reply)
    job = await ask(client, DOCUMENTED.endpoint_of("POST", "/v1/jobs"), **fields)
    DOCUMENTED.check(job)
    assert job.json()["result"]["data"]


async def test_rerankings_in_every_form_are_as_documented(connect: Connect):
    client = connect(MemoryQueue(MODELS))
    documents = ["a fox", {"text": "a whale"}]
    forms: list[tuple[str, dict[str, Any]]] = [
        ("/v1/rerank", {"documents": documents}),
        ("/v1/rerank", {"documents": documents, "max_chunks_per_doc": 1, "return_documents": True}),
        ("/v2/rerank", {}),
        ("/rerank", {"return_text": True}),
        ("/rerank", {"texts": None, "documents": documents}),
        ("/v1/score", {"text_1": ["a fox", "a whale"]}),
    ]
    for path, fields in forms:
        reply = await ask(client, DOCUMENTED.endpoint_of("POST", path), **fields)
        assert reply.status_code == 200, reply.text
        DOCUMENTED.check(reply)


async def test_stored_chats_are_as_documented(connect: Connect):
    client = connect(MemoryQueue(MODELS))
    path = "/v1/chat/completions"
    create = DOCUMENTED.endpoint_of("POST", path)
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": IMAGE}}]
    messages = [{"role": "user", "content": parts}, {"role": "user", "content": "b"}]
    for fields in ({}, {"messages": messages, "metadata": {"a": "b"}, "logprobs": True}, CALLS[path]):
        made = await ask(client, create, store=True, **fields)
        assert made.status_code == 200, made.text
    chat = f"{path}/{made.json()['id']}"
    for reply in (
        await client.get(path, params={"limit": "2"}),
        await client.get(chat),
        await client.post(chat, json={"metadata": {"a": "c"}}),
        await client.post(chat, json={"metadata": ["a"]}),
        await client.get(f"{chat}/messages"),
        await client.delete(chat),
        await client.delete(chat),
    ):
        DOCUMENTED.check(reply)
    for made in (await client.get(path)).json()["data"]:
        DOCUMENTED.check(await client.get(f"{path}/{made['id']}/messages"))


async def test_jobs_in_every_state_are_as_documented(connect: Connect):
    queue = MemoryQueue(MODELS, held=True)
    client = connect(queue)
    bodies = [
        {"task": "embed", "model": "all-MiniLM-L6-v2", "input": "a", "metadata": {"page": "1"}},
        {"task": "generate", "model": "CHAT-MODEL", "messages": [{"role": "user", "content": "a"}]},
        {"task": "generate", "model": "CHAT-MODEL", "prompt": "a", "lane": "bulk", "retries": 2, "ttl": 60},
        {"task": "rerank", "model": "RERANK-MODEL", "query": "a", "documents": ["a b", "c"]},
    ]
    schema = DOCUMENT["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for body in bodies:
        DOCUMENTED.validate(body, schema)
    ids = [(await client.post("/v1/jobs", json=body)).json()["id"] for body in (*bodies, bodies[0])]
    canceled = await client.delete(f"/v1/jobs/{ids.pop()}")
    assert canceled.json()["status"] == "canceled"
    DOCUMENTED.check(canceled)
    for job_id in ids:
        DOCUMENTED.check(await client.get(f"/v1/jobs/{job_id}"))
    queue.failure = errors.InputTooLong(param="input")
    failing = (await client.post("/v1/jobs", json=bodies[0])).json()["id"]
    queue.release()
    failed = await client.get(f"/v1/jobs/{failing}")
    assert failed.json()["error"]["code"] == "context_length_exceeded"
    DOCUMENTED.check(failed)
    queue.failure = None
    queue.held = False
    for body in bodies:
        job_id = (await client.post("/v1/jobs", json=body)).json()["id"]
        done = await client.get(f"/v1/jobs/{job_id}")
        assert done.json()["result"]
        DOCUMENTED.check(done)
        for status in (200, 404):
            deleted = await client.delete(f"/v1/jobs/{job_id}")
            assert deleted.status_code == status
            DOCUMENTED.check(deleted)
    for query in ("", "?status=failed", "?limit=1&lane=bulk", "?limit=0", "?status=gone"):
        DOCUMENTED.check(await client.get(f"/v1/jobs{query}"))
    for path in (
        "/v1/jobs/no*id",
        "/v1/jobs/unknown",
        f"/v1/jobs/{ids[0]}?wait=x",
        f"/v1/jobs/{ids[0]}/events",
    ):
        refused = await client.get(path)
        assert refused.status_code in (400, 404)
        DOCUMENTED.check(refused)


@pytest.mark.parametrize("models", [MODELS, ()], ids=["models", "no models"])
async def test_what_is_told_of_models_and_the_service_is_as_documented(
    connect: Connect, models: tuple[ModelInfo, ...]
):
    client = connect(MemoryQueue(models))
    for endpoint in DOCUMENTED.endpoints:
        if endpoint.method == "GET" and "job_id" not in endpoint.path:
            DOCUMENTED.check(await ask(client, endpoint))
