"""Ollama's names of models."""

import httpx
import msgspec
import pytest

from tests.support.chat_requests import last_job
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect
from tests.unit.api.dialects.ollama.requests import chat


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
