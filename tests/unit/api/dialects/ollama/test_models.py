"""What Ollama's clients may ask of models: /api/tags, /api/show, /api/ps, /api/version."""

from datetime import datetime

import httpx
import msgspec
import pytest

from jobs.models import LoadedModel
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL
from tests.unit.api.conftest import Connect

DETAILS = {
    "parent_model": "",
    "format": "mlx",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}
CREATED = "2023-11-14T22:13:20.000000000Z"


async def test_tags_list_every_model(chat_client: httpx.AsyncClient):
    reply = await chat_client.get("/api/tags")
    assert reply.json()["models"] == [
        {
            "name": f"{info.id}:latest",
            "model": f"{info.id}:latest",
            "modified_at": CREATED,
            "size": 0,
            "digest": "",
            "details": DETAILS,
        }
        for info in (MODEL, CHAT_MODEL)
    ]


async def test_the_latest_model_is_listed_first_and_a_tag_is_said_as_it_is(connect: Connect):
    older = msgspec.structs.replace(MODEL, id="older:v1", created=MODEL.created - 1)
    host = msgspec.structs.replace(MODEL, id="host:8000/newer", created=MODEL.created + 1)
    listed = (await connect(MemoryQueue(models=(older, MODEL, host))).get("/api/tags")).json()["models"]
    assert [each["name"] for each in listed] == ["host:8000/newer:latest", f"{MODEL.id}:latest", "older:v1"]


async def test_a_model_that_stays_longer_than_dates_reach_stays_for_ever(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    generator.loaded = {MODEL.id: LoadedModel(MODEL.id, 3_000, 1e18)}
    [found] = (await chat_client.get("/api/ps")).json()["models"]
    assert datetime.fromisoformat(found["expires_at"]).year == 9999


@pytest.mark.parametrize("path", ["/", "/api/tags", "/api/version", "/api/ps"])
async def test_what_is_asked_for_by_get_is_asked_for_by_head(chat_client: httpx.AsyncClient, path: str):
    told, asked = await chat_client.get(path), await chat_client.head(path)
    assert told.status_code == asked.status_code == 200
    assert told.headers == asked.headers


async def test_models_are_not_pushed(chat_client: httpx.AsyncClient):
    for stream in (True, False):
        reply = await chat_client.post("/api/push", json={"model": MODEL.id, "stream": stream})
        assert (reply.status_code, list(reply.json())) == (501, ["error"])
        assert "not pushed" in reply.json()["error"]


async def test_ps_lists_what_is_in_memory_and_until_when(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    generator.loaded = {}
    assert (await chat_client.get("/api/ps")).json() == {"models": []}
    generator.loaded = {
        CHAT_MODEL.id: LoadedModel(CHAT_MODEL.id, 4_000, 1_800_000_000.5),
        MODEL.id: LoadedModel(MODEL.id, 3_000, None),
    }
    embedder, chat = (await chat_client.get("/api/ps")).json()["models"]
    assert [each["model"] for each in (embedder, chat)] == [f"{MODEL.id}:latest", f"{CHAT_MODEL.id}:latest"]
    assert [each["size_vram"] for each in (embedder, chat)] == [3_000, 4_000]
    assert chat["context_length"] == CHAT_MODEL.max_tokens
    assert datetime.fromisoformat(chat["expires_at"]).timestamp() == 1_800_000_000.5
    assert datetime.fromisoformat(embedder["expires_at"]).year == 9999


@pytest.mark.parametrize("field", ["model", "name"])
@pytest.mark.parametrize("tag", ["", ":latest"])
async def test_a_generator_shows_its_context_and_capabilities(
    chat_client: httpx.AsyncClient, field: str, tag: str
):
    body = (await chat_client.post("/api/show", json={field: CHAT_MODEL.id + tag})).json()
    architecture = body["model_info"]["general.architecture"]
    assert body["model_info"][f"{architecture}.context_length"] == CHAT_MODEL.max_tokens
    assert f"{architecture}.embedding_length" not in body["model_info"]
    assert body["capabilities"] == ["completion", "tools", "vision", "thinking"]
    assert (body["details"], body["modified_at"]) == (DETAILS, CREATED)


async def test_an_embedder_shows_its_dimensions(chat_client: httpx.AsyncClient):
    body = (await chat_client.post("/api/show", json={"model": MODEL.id})).json()
    assert body["capabilities"] == ["embedding"]
    assert body["model_info"]["mlx.embedding_length"] == MODEL.dimensions


async def test_a_reranker_has_no_capability_that_ollama_knows(rerank_client: httpx.AsyncClient):
    body = (await rerank_client.post("/api/show", json={"model": RERANK_MODEL.id})).json()
    assert body["capabilities"] == []


async def test_what_cannot_be_shown_is_an_error_as_text(chat_client: httpx.AsyncClient, connect: Connect):
    unknown = await chat_client.post("/api/show", json={"model": "none"})
    assert (unknown.status_code, unknown.json()) == (404, {"error": "model 'none' not found"})
    unnamed = await chat_client.post("/api/show", json={})
    assert (unnamed.status_code, unnamed.json()) == (400, {"error": "model is missing or null."})
    idle = await connect(MemoryQueue(models=())).post("/api/show", json={"model": "none"})
    assert idle.status_code == 503


async def test_the_version_is_one_that_clients_take(chat_client: httpx.AsyncClient):
    """Some ask for 0.6.4 or later."""
    told = (await chat_client.get("/api/version")).json()
    assert set(told) == {"version"}
    assert tuple(map(int, told["version"].split("."))) >= (0, 6, 4)
