"""Requests of Ollama's clients that only load or unload a model."""

import math
from typing import Any

import httpx
import msgspec
import pytest

from jobs.embed import EmbedJob
from jobs.errors import NoWorker
from tests.support.chat_requests import last_job
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.api.conftest import Connect

NOTHING: dict[str, list[dict[str, Any]]] = {
    "/api/chat": [{}, {"messages": []}, {"messages": None, "stream": True}],
    "/api/generate": [{}, {"prompt": ""}, {"prompt": None, "stream": False}],
    "/api/embed": [{}, {"input": ""}, {"input": []}, {"input": None}],
    "/api/embeddings": [{}, {"prompt": ""}],
}
EMPTY = [(path, fields) for path, bodies in NOTHING.items() for fields in bodies]
LASTING = [(None, None), (300, 300), ("10m", 600), (-1, math.inf), ("-1", math.inf), ("24h", 86_400)]


def model_of(path: str) -> str:
    return MODEL.id if "emb" in path else CHAT_MODEL.id


async def ask(client: httpx.AsyncClient, path: str, **fields: Any) -> dict[str, Any]:
    reply = await client.post(path, json={"model": model_of(path), **fields})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


@pytest.mark.parametrize(("path", "fields"), EMPTY)
async def test_a_request_for_nothing_loads_its_model(
    chat_client: httpx.AsyncClient, generator: MemoryQueue, path: str, fields: dict[str, Any]
):
    body = await ask(chat_client, path, **fields)
    assert body.get("done_reason", "load") == "load"
    assert body.get("done", True) is True
    assert body.get("embeddings", []) == body.get("embedding", []) == []
    [(job, _)] = generator.submitted
    assert job.model == model_of(path)
    if isinstance(job, EmbedJob):
        assert job.inputs == ()
    else:
        assert last_job(generator).count_only


@pytest.mark.parametrize(("keep_alive", "seconds"), LASTING)
@pytest.mark.parametrize("path", NOTHING)
async def test_a_model_is_loaded_for_as_long_as_is_asked(
    chat_client: httpx.AsyncClient,
    generator: MemoryQueue,
    path: str,
    keep_alive: object,
    seconds: float | None,
):
    await ask(chat_client, path, keep_alive=keep_alive)
    [(job, _)] = generator.submitted
    assert getattr(job, "keep_alive_s") == seconds  # noqa: B009 - of either kind


@pytest.mark.parametrize("keep_alive", [0, 0.0, "0", "0s", "-0"])
@pytest.mark.parametrize(("path", "fields"), EMPTY)
async def test_a_request_for_nothing_and_no_time_unloads_its_model(
    chat_client: httpx.AsyncClient,
    generator: MemoryQueue,
    path: str,
    fields: dict[str, Any],
    keep_alive: object,
):
    body = await ask(chat_client, path, keep_alive=keep_alive, **fields)
    assert body.get("done_reason", "unload") == "unload"
    assert generator.memory.told == [model_of(path)]
    assert not generator.submitted
    loaded = [each["model"] for each in (await chat_client.get("/api/ps")).json()["models"]]
    assert len(loaded) == 1 and not loaded[0].startswith(model_of(path))


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
async def test_a_model_of_any_task_is_unloaded_by_ollamas_stop(
    rerank_client: httpx.AsyncClient, reranker: MemoryQueue, path: str
):
    for model in (MODEL.id, f"{CHAT_MODEL.id}:latest", RERANK_MODEL.id.upper()):
        body = await ask(rerank_client, path, model=model, keep_alive=0)
        assert (body["model"], body["done_reason"]) == (model, "unload")
    assert reranker.memory.told == [MODEL.id, CHAT_MODEL.id, RERANK_MODEL.id]


@pytest.mark.parametrize("path", NOTHING)
async def test_an_alias_is_loaded_and_unloaded_as_its_model(connect: Connect, path: str):
    model = MODEL if model_of(path) == MODEL.id else CHAT_MODEL
    queue = MemoryQueue(models=(model, msgspec.structs.replace(model, id="other", of=model.id)))
    client = connect(queue)
    await ask(client, path, model="other:latest", keep_alive=-1)
    assert queue.submitted[0][0].model == model.id
    await ask(client, path, model="other", keep_alive=0)
    assert queue.memory.told == [model.id]


async def test_a_prompt_is_answered_before_its_model_is_unloaded(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    body = await ask(chat_client, "/api/generate", prompt="one two", keep_alive=0, stream=False)
    assert (body["response"], body["done_reason"]) == ("one two", "stop")
    assert (last_job(generator).keep_alive_s, generator.memory.told) == (0, [])


@pytest.mark.parametrize("path", NOTHING)
async def test_what_there_is_not_cannot_be_unloaded(chat_client: httpx.AsyncClient, path: str):
    reply = await chat_client.post(path, json={"model": "unheard-of", "keep_alive": 0})
    assert (reply.status_code, "unheard-of" in reply.json()["error"]) == (404, True)


async def test_a_worker_that_does_not_listen_is_told_of(connect: Connect, generator: MemoryQueue):
    async def unload(model: str) -> None:
        raise NoWorker(f"{model} stays")

    generator.memory.unload = unload
    client = connect(generator)
    reply = await client.post("/api/generate", json={"model": CHAT_MODEL.id, "keep_alive": 0})
    assert (reply.status_code, reply.json()) == (503, {"error": f"{CHAT_MODEL.id} stays"})
