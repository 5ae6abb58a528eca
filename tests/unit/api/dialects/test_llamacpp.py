"""What llama.cpp's server has besides OpenAI's dialect."""

import httpx
import msgspec
import pytest

from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

OTHER = msgspec.structs.replace(CHAT_MODEL, id="org/other", abilities=())


async def test_props_tell_of_the_model_that_writes(chat_client: httpx.AsyncClient):
    found = (await chat_client.get("/props")).json()
    settings = found["default_generation_settings"]
    assert settings["n_ctx"] == CHAT_MODEL.max_tokens
    assert settings["params"]["temperature"] == 1.0
    assert (found["model_alias"], found["modalities"]) == (CHAT_MODEL.id, {"vision": True, "audio": False})
    assert (found["total_slots"], found["chat_template"], found["is_sleeping"]) == (0, "", False)


async def test_one_of_several_models_is_named(connect: Connect):
    client = connect(MemoryQueue(models=(CHAT_MODEL, OTHER)))
    reply = await client.get("/props")
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    assert OTHER.id in reply.json()["error"]["message"]
    found = (await client.get("/props", params={"model": OTHER.id})).json()
    assert (found["model_alias"], found["modalities"]["vision"]) == (OTHER.id, False)


@pytest.mark.parametrize(
    ("models", "name", "status", "kind"),
    [
        ((MODEL,), None, 404, "not_found_error"),
        ((MODEL,), MODEL.id, 400, "invalid_request_error"),
        ((CHAT_MODEL,), "nope", 404, "not_found_error"),
        ((), None, 503, "unavailable_error"),
    ],
)
async def test_errors_have_its_form(
    connect: Connect, models: tuple[()], name: str | None, status: int, kind: str
):
    client = connect(MemoryQueue(models=models))
    reply = await client.get("/props", params={"model": name} if name else {})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["type"]) == (status, status, kind)


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
async def test_it_is_alive_under_both_paths(client: httpx.AsyncClient, path: str):
    reply = await client.get(path)
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
