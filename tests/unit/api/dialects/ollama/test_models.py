"""What Ollama's clients may ask of models: /api/tags, /api/show, /api/ps, /api/version."""

from datetime import datetime

import httpx
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
            "name": info.id,
            "model": info.id,
            "modified_at": CREATED,
            "size": 0,
            "digest": "",
            "details": DETAILS,
        }
        for info in (MODEL, CHAT_MODEL)
    ]


async def test_ps_lists_what_is_in_memory_and_until_when(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    generator.loaded = {}
    assert (await chat_client.get("/api/ps")).json() == {"models": []}
    generator.loaded = {
        CHAT_MODEL.id: LoadedModel(CHAT_MODEL.id, 4_000, 1_800_000_000.5),
        MODEL.id: LoadedModel(MODEL.id, 3_000, None),
    }
    found = {each["model"]: each for each in (await chat_client.get("/api/ps")).json()["models"]}
    assert {name: each["size_vram"] for name, each in found.items()} == {
        MODEL.id: 3_000,
        CHAT_MODEL.id: 4_000,
    }
    assert found[CHAT_MODEL.id]["context_length"] == CHAT_MODEL.max_tokens
    assert datetime.fromisoformat(found[CHAT_MODEL.id]["expires_at"]).timestamp() == 1_800_000_000.5
    assert datetime.fromisoformat(found[MODEL.id]["expires_at"]).year == 9999


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
