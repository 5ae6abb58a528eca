"""vLLM's /pooling, and its fields of /v1/embeddings."""

import base64
from array import array
from typing import Any

import httpx
import pytest

from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue, memory_vector
from tests.unit.api.conftest import Connect


async def pool(client: httpx.AsyncClient, **fields: Any) -> Any:
    reply = await client.post("/pooling", json=fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_inputs_become_vectors(client: httpx.AsyncClient):
    found = await pool(client, input=["a", "b"], task="embed")
    assert found["id"].startswith("pool-")
    assert (found["object"], found["model"], found["usage"]["prompt_tokens"]) == ("list", MODEL.id, 2)
    assert [(each["index"], each["object"]) for each in found["data"]] == [(0, "pooling"), (1, "pooling")]
    vector = array("f", memory_vector("b", MODEL.dimensions)).tolist()
    assert found["data"][1]["data"] == pytest.approx(vector)
    encoded = await pool(client, input="b", encoding_format="base64")
    assert base64.b64decode(encoded["data"][0]["data"]) == memory_vector("b", MODEL.dimensions)


async def test_a_model_with_a_vector_for_each_token_gives_them_all(connect: Connect):
    client = connect(MemoryQueue(models=(PAGE_MODEL,)))
    for fields in ({}, {"task": "token_embed"}):
        found = await pool(client, input="a red fox", **fields)
        assert [len(vector) for vector in found["data"][0]["data"]] == [PAGE_MODEL.dimensions] * 3
    refused = await client.post("/pooling", json={"input": "a", "task": "embed"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "task")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"task": "classify"}, "task"),
        ({"task": "token_embed"}, "task"),
        ({"data": {"a": 1}}, "data"),
        ({"input": []}, "input"),
        ({"encoding_format": "bytes"}, "encoding_format"),
    ],
)
async def test_what_pooling_does_not_do_is_refused_by_name(
    client: httpx.AsyncClient, queue: MemoryQueue, fields: dict[str, Any], param: str
):
    reply = await client.post("/pooling", json={"input": "a", **fields})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert not queue.submitted


@pytest.mark.parametrize("path", ["/pooling", "/v1/embeddings"])
@pytest.mark.parametrize(
    ("field", "value", "nothing"),
    [
        ("messages", [{"role": "user", "content": "a"}], None),
        ("add_special_tokens", False, True),
        ("use_activation", False, True),
        ("normalize", False, True),
        ("embed_dtype", "float16", "float32"),
        ("endianness", "big", "little"),
        ("chat_template", "x", None),
        ("media_io_kwargs", {"a": 1}, {}),
        ("mm_processor_kwargs", {"a": 1}, {}),
        ("cache_salt", "x", None),
        ("priority", 1, 0),
        ("truncation_side", "left", "right"),
        ("padding", "max_length", "do_not_pad"),
    ],
)
async def test_a_field_that_would_change_vectors_is_refused_by_name(
    client: httpx.AsyncClient, path: str, field: str, value: Any, nothing: Any
):
    reply = await client.post(path, json={"input": "a", field: value})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)
    assert (await client.post(path, json={"input": "a", field: nothing})).status_code == 200


async def test_the_version_is_told(client: httpx.AsyncClient):
    assert set((await client.get("/version")).json()) == {"version"}
