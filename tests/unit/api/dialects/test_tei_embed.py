"""The embeddings of Hugging Face's text-embeddings-inference."""

import struct
from typing import Any

import httpx
import msgspec
import pytest

from jobs.embed import EmbedJob
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue, memory_vector
from tests.unit.api.conftest import Connect


async def embed(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/embed", json={"inputs": "a", **fields})


def last_embedding(queue: MemoryQueue) -> EmbedJob:
    job = queue.submitted[-1][0]
    assert isinstance(job, EmbedJob)
    return job


def vector(content: str | tuple[int, ...]) -> list[float]:
    return list(struct.unpack(f"<{MODEL.dimensions}f", memory_vector(content, MODEL.dimensions)))


@pytest.mark.parametrize(
    ("inputs", "read"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [(1, 2)]),
        ([[1], [2.0, 3]], [(1,), (2, 3)]),
        ([f"text {n}" for n in range(200)], [f"text {n}" for n in range(200)]),
    ],
    ids=["one", "several", "ids", "lists of ids", "many"],
)
async def test_each_input_has_a_vector(client: httpx.AsyncClient, inputs: object, read: list[Any]):
    reply = await embed(client, inputs=inputs)
    assert reply.status_code == 200
    assert reply.json() == [pytest.approx(vector(each)) for each in read]


async def test_a_bare_request_is_a_job_of_the_one_model(client: httpx.AsyncClient, queue: MemoryQueue):
    await embed(client)
    assert last_embedding(queue) == EmbedJob(MODEL.id, ("a",))


@pytest.mark.parametrize(
    ("fields", "truncate"),
    [
        ({"truncate": True}, "end"),
        ({"truncate": True, "truncation_direction": "Right"}, "end"),
        ({"truncate": True, "truncation_direction": "left"}, "start"),
        ({"truncate": False, "truncation_direction": "left"}, "none"),
        ({"truncate": None, "truncation_direction": None, "normalize": None, "prompt_name": None}, "none"),
    ],
)
async def test_an_overlong_input_is_cut_where_it_is_said(
    client: httpx.AsyncClient, queue: MemoryQueue, fields: dict[str, Any], truncate: str
):
    assert (await embed(client, **fields)).status_code == 200
    assert last_embedding(queue).truncate == truncate


async def test_the_prompt_and_the_size_are_the_jobs(connect: Connect):
    queue = MemoryQueue(models=(msgspec.structs.replace(MODEL, min_dimensions=8),))
    reply = await embed(connect(queue), prompt_name="query", dimensions=16)
    assert [len(each) for each in reply.json()] == [16]
    job = last_embedding(queue)
    assert (job.prompt_name, job.dimensions) == ("query", 16)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"inputs": []}, "inputs is empty"),
        ({"inputs": ["a", ""]}, "inputs[1] is empty"),
        ({"inputs": None}, "inputs"),
        ({"normalize": False}, "normalize"),
        ({"truncation_direction": "up"}, "truncation_direction"),
        ({"dimensions": 0}, "dimensions"),
    ],
)
async def test_a_bad_field_is_named(
    client: httpx.AsyncClient, queue: MemoryQueue, fields: dict[str, Any], words: str
):
    reply = await embed(client, **fields)
    assert (reply.status_code, reply.json()["error_type"]) == (400, "Validation")
    assert reply.json()["error"].startswith(words)
    assert not queue.submitted


async def test_which_model_must_be_said_where_there_are_several(connect: Connect):
    client = connect(MemoryQueue(models=(MODEL, msgspec.structs.replace(MODEL, id="org/other"))))
    assert "There is more than one: org/model, org/other." in (await embed(client)).text
    assert (await embed(client, model="org/other")).status_code == 200


async def test_a_model_with_several_vectors_is_for_another_path(connect: Connect):
    reply = await embed(connect(MemoryQueue(models=(PAGE_MODEL,))))
    assert reply.status_code == 400
    assert "/v1/embeddings" in reply.json()["error"]
