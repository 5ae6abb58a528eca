"""Cohere's embeddings, and its own client against them."""

import base64
import struct
from typing import Any

import httpx
import msgspec
import pytest
from cohere.types import EmbedByTypeResponse, EmbedFloatsResponse

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue, memory_vector
from tests.unit.api.conftest import Connect

SEEING = msgspec.structs.replace(MODEL, abilities=("vision",))
PATHS = pytest.mark.parametrize("path", ["/v1/embed", "/v2/embed"])


async def embed(client: httpx.AsyncClient, path: str = "/v2/embed", **fields: Any) -> httpx.Response:
    return await client.post(path, json={"model": MODEL.id, "texts": ["a", "b"], **fields})


def last_embedding(queue: MemoryQueue) -> EmbedJob:
    job = queue.submitted[-1][0]
    assert isinstance(job, EmbedJob)
    return job


def vector(text: str) -> list[float]:
    return list(struct.unpack(f"<{MODEL.dimensions}f", memory_vector(text, MODEL.dimensions)))


async def test_the_second_version_has_vectors_by_type(client: httpx.AsyncClient):
    reply = await embed(client, embedding_types=["float", "int8", "binary", "ubinary", "base64", "float"])

    found = EmbedByTypeResponse.model_validate(reply.json(), strict=True)
    assert found.response_type == "embeddings_by_type" and found.texts == ["a", "b"]
    assert found.embeddings.float_ == [pytest.approx(vector(text)) for text in "ab"]
    assert found.embeddings.base64 == [
        base64.b64encode(memory_vector(text, MODEL.dimensions)).decode() for text in "ab"
    ]
    assert {len(each) for each in found.embeddings.int8 or ()} == {MODEL.dimensions}
    for kind in (found.embeddings.binary, found.embeddings.ubinary):
        assert [len(each) for each in kind or ()] == [MODEL.dimensions // 8] * 2
    assert reply.json()["meta"] == {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2}}


@pytest.mark.parametrize("types", [{}, {"embedding_types": None}, {"embedding_types": []}])
async def test_floats_are_given_unless_other_types_are_asked_for(
    client: httpx.AsyncClient, types: dict[str, Any]
):
    for path in ("/v1/embed", "/v2/embed"):
        body = (await embed(client, path, **types)).json()
        if path == "/v1/embed":
            floats = EmbedFloatsResponse.model_validate(body, strict=True).embeddings
        else:
            assert set(body["embeddings"]) == {"float"}
            floats = body["embeddings"]["float"]
        assert floats == [pytest.approx(vector(text)) for text in "ab"]


async def test_the_first_version_has_types_if_they_are_asked_for(client: httpx.AsyncClient):
    body = (await embed(client, "/v1/embed", embedding_types=["int8"])).json()
    assert (body["response_type"], set(body["embeddings"])) == ("embeddings_by_type", {"int8"})
    assert body["meta"]["api_version"] == {"version": "1"}


@PATHS
@pytest.mark.parametrize(
    ("given", "is_of"),
    [
        ("search_query", "query"),
        ("search_document", "document"),
        ("classification", None),
        ("clustering", None),
        (None, None),
    ],
)
async def test_what_texts_are_is_the_jobs(
    client: httpx.AsyncClient, queue: MemoryQueue, path: str, given: str | None, is_of: str | None
):
    assert (await embed(client, path, input_type=given)).status_code == 200
    assert last_embedding(queue) == EmbedJob(MODEL.id, ("a", "b"), input_type=is_of)  # pyright: ignore


@pytest.mark.parametrize(
    ("given", "truncate"), [("NONE", "none"), ("START", "start"), ("END", "end"), (None, "none")]
)
async def test_an_overlong_text_is_cut_if_asked(
    client: httpx.AsyncClient, queue: MemoryQueue, given: str | None, truncate: str
):
    assert (await embed(client, truncate=given)).status_code == 200
    assert last_embedding(queue).truncate == truncate


@PATHS
async def test_images_are_embedded_by_a_model_that_sees(connect: Connect, path: str):
    queue = MemoryQueue(models=(SEEING,))
    fields = {"texts": None, "images": [f"data:image/png;base64,{OPAQUE_BASE64}"], "input_type": "image"}
    assert (await embed(connect(queue), path, **fields)).status_code == 200
    assert last_embedding(queue).inputs == (MixedInput((ImagePart(OPAQUE),)),)


async def test_the_model_may_be_left_out_where_there_is_one(client: httpx.AsyncClient, queue: MemoryQueue):
    assert (await embed(client, model=None)).status_code == 200
    assert last_embedding(queue).model == MODEL.id


@PATHS
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"texts": None}, "Send texts or images"),
        ({"images": ["data:,a"]}, "Send texts or images"),
        ({"texts": ["a", ""]}, "texts[1] is empty."),
        (
            {"texts": None, "images": ["data:image/png;base64,AAAA"]},
            f"The model {MODEL.id} reads texts only.",
        ),
        ({"embedding_types": ["uint8"]}, "embedding_types[0]: "),
        ({"input_type": "song"}, "input_type: "),
        ({"truncate": "MIDDLE"}, "truncate: "),
        ({"max_tokens": 7}, "max_tokens: "),
        ({"inputs": [{"content": []}]}, "inputs: "),
        ({"output_dimension": 0}, "output_dimension: "),
    ],
)
async def test_a_bad_field_is_named(
    client: httpx.AsyncClient, queue: MemoryQueue, path: str, fields: dict[str, Any], words: str
):
    reply = await embed(client, path, **fields)
    assert (reply.status_code, set(reply.json())) == (400, {"message"})
    assert reply.json()["message"].startswith(words)
    assert not queue.submitted


async def test_a_model_with_several_vectors_is_for_another_path(connect: Connect):
    reply = await embed(connect(MemoryQueue(models=(PAGE_MODEL,))), model=PAGE_MODEL.id)
    assert reply.status_code == 400
    assert "/v1/embeddings" in reply.json()["message"]
