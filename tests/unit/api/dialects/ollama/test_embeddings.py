"""Ollama's embeddings: /api/embed and /api/embeddings."""

import math
import struct
from typing import Any

import httpx
import msgspec
import pytest

from jobs.embed import EmbedJob, EmbedResult
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue, memory_vector
from tests.unit.api.conftest import Connect


def vector(text: str) -> list[float]:
    return list(struct.unpack(f"<{MODEL.dimensions}f", memory_vector(text, MODEL.dimensions)))


async def embed(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/api/embed", json={"model": MODEL.id, "input": "a", **fields})


@pytest.mark.parametrize(
    ("given", "texts"),
    [("a b", ["a b"]), (["a", "b c"], ["a", "b c"]), ("", []), ([], []), (None, [])],
)
async def test_each_text_has_a_vector(client: httpx.AsyncClient, given: object, texts: list[str]):
    reply = await embed(client, input=given)
    assert reply.status_code == 200
    found = reply.json()
    assert found["model"] == MODEL.id
    assert found["embeddings"] == [pytest.approx(vector(text)) for text in texts]
    assert found["prompt_eval_count"] == sum(len(text.split()) for text in texts)
    assert (type(found["total_duration"]), found["load_duration"]) == (int, 0)


@pytest.mark.parametrize(
    ("fields", "job"),
    [
        ({}, EmbedJob(MODEL.id, ("a",), truncate="end")),
        ({"truncate": True, "dimensions": 0}, EmbedJob(MODEL.id, ("a",), truncate="end")),
        ({"truncate": False, "dimensions": -1}, EmbedJob(MODEL.id, ("a",))),
        ({"dimensions": 384.0}, EmbedJob(MODEL.id, ("a",), dimensions=384, truncate="end")),
        ({"model": f"{MODEL.id}:latest"}, EmbedJob(MODEL.id, ("a",), truncate="end")),
        (
            {"keep_alive": "5m", "options": {"num_ctx": 8192}, "truncate": None},
            EmbedJob(MODEL.id, ("a",), truncate="end", keep_alive_s=300),
        ),
        ({"keep_alive": 0}, EmbedJob(MODEL.id, ("a",), truncate="end", keep_alive_s=0)),
        ({"keep_alive": "-1"}, EmbedJob(MODEL.id, ("a",), truncate="end", keep_alive_s=math.inf)),
    ],
)
async def test_what_is_asked_is_done(
    client: httpx.AsyncClient, queue: MemoryQueue, fields: dict[str, Any], job: EmbedJob
):
    assert (await embed(client, **fields)).status_code == 200
    assert queue.submitted[-1][0] == job


async def test_a_load_that_was_waited_for_is_told(connect: Connect):
    class Loading(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            result = await super().wait(job_id, timeout_s)
            assert isinstance(result, EmbedResult)
            return msgspec.structs.replace(result, load_s=0.25)

    for given in ("a", ""):
        assert (await embed(connect(Loading()), input=given)).json()["load_duration"] == 250_000_000


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"model": "none"}, 404, "none"),
        ({"model": "none", "input": ""}, 404, "none"),
        ({"input": ["a", ""]}, 400, "input[1]"),
        ({"input": [1, 2]}, 400, "input"),
        ({"input": {"a": 1}}, 400, "input"),
        ({"dimensions": 2**40}, 400, "dimensions"),
        ({"dimensions": 7}, 400, "dimensions"),
        ({"truncate": "yes"}, 400, "truncate"),
        ({"keep_alive": "soon"}, 400, "keep_alive"),
        ({"options": 1}, 400, "options"),
        ({"input": ["a"] * 3000}, 400, "input"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    client: httpx.AsyncClient, fields: dict[str, Any], status: int, said: str
):
    reply = await embed(client, **fields)
    assert reply.status_code == status
    assert set(reply.json()) == {"error"}
    assert said in reply.json()["error"]


@pytest.mark.parametrize("path", ["embed", "embeddings"])
async def test_a_model_of_several_vectors_is_refused(connect: Connect, path: str):
    async with connect(MemoryQueue(models=(PAGE_MODEL,))) as client:
        body = {"model": PAGE_MODEL.id, "input": "a", "prompt": "a"}
        reply = await client.post(f"/api/{path}", json=body)
    assert (reply.status_code, "/v1/embeddings" in reply.json()["error"]) == (400, True)


@pytest.mark.parametrize("prompt", ["a b", "", None])
async def test_the_older_path_embeds_one_prompt(
    client: httpx.AsyncClient, queue: MemoryQueue, prompt: str | None
):
    reply = await client.post(
        "/api/embeddings", json={"model": MODEL.id, "prompt": prompt, "keep_alive": "1h"}
    )
    assert reply.status_code == 200
    assert reply.json() == {"embedding": pytest.approx(vector(prompt)) if prompt else []}
    inputs = (prompt,) if prompt else ()
    assert queue.submitted[-1][0] == EmbedJob(MODEL.id, inputs, keep_alive_s=3600)
