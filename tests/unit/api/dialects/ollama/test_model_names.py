"""Ollama's names of models, and the requests that only load or unload one."""

import httpx
import msgspec
import pytest

from tests.support.chat_requests import last_job
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect
from tests.unit.api.dialects.ollama.requests import chat


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
@pytest.mark.parametrize(
    ("keep_alive", "reason", "seconds"),
    [(None, "load", None), ("10m", "load", 600), (0, "unload", 0), ("0", "unload", 0)],
)
async def test_a_request_without_a_prompt_loads_or_unloads(
    chat_client: httpx.AsyncClient,
    generator: MemoryQueue,
    path: str,
    keep_alive: object,
    reason: str,
    seconds: float | None,
):
    reply = await chat_client.post(path, json={"model": CHAT_MODEL.id, "keep_alive": keep_alive})
    body = reply.json()
    assert (body["done"], body["done_reason"]) == (True, reason)
    job = last_job(generator)
    assert (job.count_only, job.keep_alive_s, job.stream) == (True, seconds, False)


async def test_a_model_that_is_not_in_memory_is_not_loaded_to_be_unloaded(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    generator.loaded = {}
    reply = await chat_client.post("/api/generate", json={"model": CHAT_MODEL.id, "keep_alive": 0})
    assert reply.json()["done_reason"] == "unload"
    assert not generator.submitted
    reply = await chat_client.post("/api/generate", json={"model": "unheard-of", "keep_alive": 0})
    assert reply.status_code == 404


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("org/model", "org/model"),
        ("org/model:latest", "org/model"),
        ("org/other:latest", "org/other:latest"),
    ],
)
async def test_a_models_latest_tag_may_be_said_or_not(connect: Connect, name: str, meant: str):
    infos = [
        msgspec.structs.replace(CHAT_MODEL, id="org/model"),
        msgspec.structs.replace(CHAT_MODEL, id="org/other:latest"),
    ]
    queue = MemoryQueue(models=tuple(infos))
    body = (await chat(connect(queue), model=name, stream=False)).json()
    assert body["model"] == name
    assert last_job(queue).model == meant


async def test_an_unknown_model_is_404_in_ollamas_envelope(chat_client: httpx.AsyncClient):
    for stream in (True, False):
        reply = await chat(chat_client, model="none:latest", stream=stream)
        assert reply.status_code == 404
        assert "none:latest" in reply.json()["error"]


async def test_an_embedding_model_does_not_chat(chat_client: httpx.AsyncClient):
    reply = await chat(chat_client, model=MODEL.id)
    assert reply.status_code == 400
    assert MODEL.id in reply.json()["error"]
