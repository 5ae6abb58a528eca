"""Paths as clients write them, HEAD, and the errors of paths that are not there."""

from typing import Any

import httpx
import pytest

from api.app import create_app
from jobs.generate import GenerateJob, Piece, Prompt
from jobs.job import SubmitOptions
from jobs.settings import Settings
from tests.support.chat_requests import Caller, ScriptedQueue, said
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect


@pytest.mark.parametrize(
    "path", ["//v1/models", "/v1//models", "///v1///models", "/v1/models", f"/v1//models//{MODEL.id}"]
)
async def test_slashes_too_many_are_one(client: httpx.AsyncClient, path: str):
    reply = await client.get(f"http://mlxq{path}")
    assert reply.status_code == 200
    assert MODEL.id in reply.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/models", None),
        ("GET", f"/models/{MODEL.id}", None),
        ("POST", "/embeddings", {"model": MODEL.id, "input": "a"}),
        ("POST", "//embeddings", {"model": MODEL.id, "input": "a"}),
        (
            "POST",
            "/chat/completions",
            {"model": CHAT_MODEL.id, "messages": [{"role": "user", "content": "a"}]},
        ),
        ("POST", "/completions", {"model": CHAT_MODEL.id, "prompt": "a"}),
        ("POST", "/score", {"text_1": "a", "text_2": "b"}),
    ],
)
async def test_v1_may_be_left_out(
    rerank_client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None
):
    short, whole = [
        await rerank_client.request(method, f"http://mlxq{each}", json=body) for each in (path, "/v1" + path)
    ]
    assert short.status_code == whole.status_code == 200
    assert short.json().keys() == whole.json().keys()


async def test_other_paths_without_v1_are_not_there(client: httpx.AsyncClient):
    for path in ("/jobs", "/queue/stats", "/modelsx", "/messages"):
        assert (await client.get(path)).status_code == 404


async def test_a_body_may_be_sent_to_a_path_with_slashes_too_many(client: httpx.AsyncClient):
    reply = await client.post("http://mlxq//v1//embeddings", json={"model": MODEL.id, "input": "a"})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/models", f"/v1/models/{MODEL.id}", "/api/tags", "/api/version", "/health", "/ready", "/v1/jobs"],
)
async def test_head_is_answered_where_get_is(client: httpx.AsyncClient, path: str):
    told, asked = await client.get(path), await client.head(path)
    assert asked.status_code == told.status_code == 200
    assert asked.headers["content-length"] == told.headers["content-length"]
    assert asked.headers["content-type"] == told.headers["content-type"]


async def test_head_of_what_is_not_there_is_404(client: httpx.AsyncClient):
    assert (await client.head("/v1/models/none")).status_code == 404


async def test_head_of_a_stream_is_answered_without_its_events(script: ScriptedQueue):
    job = GenerateJob(model=CHAT_MODEL.id, prompt=Prompt("a"), stream=True)
    ticket = await script.submit(job, SubmitOptions())
    script.script.put_nowait(said(Piece(text="one")))  # and no end
    caller = Caller(create_app(script, Settings()), "HEAD", f"/v1/jobs/{ticket.id}/events")

    await caller.ended()

    assert (await caller.message())["status"] == 200
    assert await caller.body() == b""
    assert not script.canceled


@pytest.mark.parametrize(
    ("method", "path", "status", "shape"),
    [
        ("GET", "/api/nothing", 404, {"error"}),
        ("POST", "/api/signout", 404, {"error"}),
        ("GET", "/api/chat", 405, {"error"}),
        ("GET", "/v1/messages/nothing", 404, {"type", "error"}),
        ("GET", "/v1/messages", 405, {"type", "error"}),
        ("POST", "/v1/messages/batches", 404, {"type", "error"}),
        ("GET", "/v2/nothing", 404, {"message"}),
        ("GET", "/v2/rerank", 405, {"message"}),
        ("GET", "/rerank", 405, {"error", "error_type"}),
    ],
)
async def test_an_unknown_path_is_answered_in_its_dialects_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int, shape: set[str]
):
    reply = await client.request(method, path)
    body: dict[str, Any] = reply.json()
    assert (reply.status_code, set(body)) == (status, shape)
    if "type" in shape:
        assert body["type"] == "error"
        assert set(body["error"]) == {"type", "message"}
    elif shape == {"error"}:
        assert isinstance(body["error"], str)


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/apis", "/v1/messagesboard", "/v2x"])
async def test_any_other_path_is_answered_as_openai_does(client: httpx.AsyncClient, path: str):
    reply = await client.get(path)
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"


async def test_a_preflight_of_any_path_is_no_405(connect: Connect):
    headers = {"Origin": "http://localhost", "Access-Control-Request-Method": "POST"}
    for path in ("/v1/chat/completions", "/api/chat", "/v1/messages"):
        assert (await connect(MemoryQueue()).options(path, headers=headers)).status_code == 200
