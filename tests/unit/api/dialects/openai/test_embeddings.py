import base64
import struct
from typing import Any

import httpx
import pytest

from jobs.embed import EmbedJob
from tests.support.memory_queue import MODEL, MemoryQueue, memory_vector
from tests.unit.api.conftest import Connect


async def embed(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/embeddings", json={"model": MODEL.id, **fields})


def submitted(queue: MemoryQueue) -> EmbedJob:
    job = queue.submitted[-1][0]
    assert isinstance(job, EmbedJob)
    return job


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("one text", ("one text",)),
        (["one", "two"], ("one", "two")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
async def test_every_form_of_input_becomes_items(
    client: httpx.AsyncClient, queue: MemoryQueue, given: object, inputs: tuple[object, ...]
):
    reply = await embed(client, input=given)
    assert reply.status_code == 200
    assert submitted(queue).inputs == inputs
    assert len(reply.json()["data"]) == len(inputs)


async def test_a_reply_is_exactly_openais(client: httpx.AsyncClient):
    reply = await embed(client, input=["one", "two words"])
    vectors = [list(struct.unpack("<384f", memory_vector(text, 384))) for text in ("one", "two words")]
    assert reply.json() == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": vectors[0]},
            {"object": "embedding", "index": 1, "embedding": vectors[1]},
        ],
        "model": MODEL.id,
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    assert reply.headers["content-type"] == "application/json"


async def test_base64_carries_the_float32_bytes(client: httpx.AsyncClient):
    reply = await embed(client, input=["one", "two"], encoding_format="base64")
    found = [base64.b64decode(item["embedding"]) for item in reply.json()["data"]]
    assert found == [memory_vector("one", 384), memory_vector("two", 384)]


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_a_reply_encoded_in_slices_is_whole_and_in_order(client: httpx.AsyncClient, encoding: str):
    texts = [f"text {i}" for i in range(400)]
    reply = await embed(client, input=texts, encoding_format=encoding)
    data = reply.json()["data"]
    assert [item["index"] for item in data] == list(range(400))
    for text, item in zip(texts, data, strict=True):
        raw = memory_vector(text, 384)
        assert item["embedding"] in (list(struct.unpack("<384f", raw)), base64.b64encode(raw).decode())


@pytest.mark.parametrize("given", [[], [[]], [[1], []], "", ["a", ""], ["a", 1], [1, [2]], ["a", [1]]])
async def test_empty_and_mixed_input_is_refused(client: httpx.AsyncClient, queue: MemoryQueue, given: object):
    reply = await embed(client, input=given)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "input"
    assert not queue.submitted


async def test_more_inputs_than_the_setting_allows_are_refused(connect: Connect, queue: MemoryQueue):
    client = connect(queue, max_inputs=2)
    assert (await embed(client, input=["a", "b"])).status_code == 200
    assert (await embed(client, input=[1, 2, 3])).status_code == 200, "one input of three tokens"
    assert (await embed(client, input=["a", "b", "c"])).json()["error"]["param"] == "input"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(True, "end"), (False, "none"), ("none", "none"), ("start", "start"), ("end", "end")],
)
async def test_truncate_may_be_a_word_or_a_boolean(
    client: httpx.AsyncClient, queue: MemoryQueue, given: object, expected: str
):
    await embed(client, input="a", truncate=given)
    assert submitted(queue).truncate == expected


async def test_nothing_is_truncated_unasked(client: httpx.AsyncClient, queue: MemoryQueue):
    await embed(client, input="a")
    assert submitted(queue).truncate == "none"


async def test_prompts_and_dimensions_travel_with_the_job(client: httpx.AsyncClient, queue: MemoryQueue):
    await embed(client, input="a", dimensions=64, prompt_name="query")
    assert submitted(queue) == EmbedJob(model=MODEL.id, inputs=("a",), dimensions=64, prompt_name="query")


async def test_a_prompt_name_and_an_instruction_exclude_each_other(client: httpx.AsyncClient):
    reply = await embed(client, input="a", prompt_name="query", instruction="Find.")
    assert reply.json()["error"]["param"] == "instruction"


async def test_dimensions_the_model_does_not_allow_are_refused(client: httpx.AsyncClient):
    reply = await embed(client, input="a", dimensions=7)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "dimensions"


async def test_unknown_fields_and_nulls_are_ignored(client: httpx.AsyncClient):
    reply = await embed(client, input="a", user="me", encoding_format=None, dimensions=None, extra={"x": 1})
    assert reply.status_code == 200


async def test_an_unknown_model_is_answered_404_with_what_there_is(client: httpx.AsyncClient):
    reply = await client.post("/v1/embeddings", json={"model": "other", "input": "a"})
    assert reply.status_code == 404
    assert MODEL.id in reply.json()["error"]["message"]


@pytest.mark.parametrize(("truncate", "status"), [("none", 400), ("end", 200), ("start", 200)])
async def test_far_too_many_token_ids_are_refused_before_they_are_a_job(
    client: httpx.AsyncClient, queue: MemoryQueue, truncate: str, status: int
):
    many = [[1], [7] * (2 * MODEL.max_tokens + 1001)]
    reply = await embed(client, input=many, truncate=truncate)
    assert reply.status_code == status
    if status == 400:
        assert reply.json()["error"]["code"] == "context_length_exceeded"
        assert f"Input 1: {len(many[1])} tokens" in reply.json()["error"]["message"]
        assert not queue.submitted


@pytest.mark.parametrize(
    ("fields", "truncate"),
    [
        ({"truncate_prompt_tokens": -1}, "end"),
        ({"truncate_prompt_tokens": -1.0}, "end"),
        ({"truncate_prompt_tokens": None}, "none"),
        ({"truncate_prompt_tokens": -1, "truncate": "start"}, "start"),
    ],
)
async def test_vllms_word_for_cutting_is_read(
    client: httpx.AsyncClient, queue: MemoryQueue, fields: dict[str, Any], truncate: str
):
    reply = await client.post("/v1/embeddings", json={"model": MODEL.id, "input": "a", **fields})
    assert reply.status_code == 200
    job = queue.submitted[-1][0]
    assert isinstance(job, EmbedJob) and job.truncate == truncate


async def test_a_number_of_tokens_to_cut_at_is_refused(client: httpx.AsyncClient):
    reply = await client.post(
        "/v1/embeddings", json={"model": MODEL.id, "input": "a", "truncate_prompt_tokens": 10}
    )
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "truncate_prompt_tokens")
