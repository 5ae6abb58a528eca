"""Cohere's embeddings, and its own client against them."""

import base64
import inspect
import struct
from typing import Any

import cohere
import httpx
import msgspec
import pytest
from cohere.types import EmbedByTypeResponse, EmbedFloatsResponse
from cohere.v2.client import V2Client

from api.dialects.cohere.embedding import CohereEmbedRequest
from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.job import Lane
from tests.support.images import OPAQUE, OPAQUE_BASE64
from tests.support.memory_queue import MODEL, PAGE_MODEL, MemoryQueue, memory_vector
from tests.unit.api.conftest import Connect

SEEING = msgspec.structs.replace(MODEL, abilities=("vision",))
IMAGE = f"data:image/png;base64,{OPAQUE_BASE64}"
TEXT = {"type": "text", "text": "A meal."}
CLIENTS_OWN = {"self", "request_options", "batching"}
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
    reply = await embed(
        client, embedding_types=["float", "int8", "uint8", "binary", "ubinary", "base64", "float"]
    )

    found = EmbedByTypeResponse.model_validate(reply.json(), strict=True)
    assert found.response_type == "embeddings_by_type" and found.texts == ["a", "b"]
    assert found.embeddings.float_ == [pytest.approx(vector(text)) for text in "ab"]
    assert found.embeddings.base64 == [
        base64.b64encode(memory_vector(text, MODEL.dimensions)).decode() for text in "ab"
    ]
    assert {len(each) for each in found.embeddings.int8 or ()} == {MODEL.dimensions}
    assert found.embeddings.uint8 == [[value + 128 for value in each] for each in found.embeddings.int8 or ()]
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


@pytest.mark.parametrize(("given", "limit"), [(7, 7), (7.0, 7), (None, None)])
async def test_a_text_has_no_more_tokens_than_asked_for(
    client: httpx.AsyncClient, queue: MemoryQueue, given: float | None, limit: int | None
):
    assert (await embed(client, max_tokens=given, truncate="START")).status_code == 200
    assert (last_embedding(queue).max_tokens, last_embedding(queue).truncate) == (limit, "start")


@pytest.mark.parametrize(
    ("given", "lane"), [(None, Lane.INTERACTIVE), (0, Lane.INTERACTIVE), (5, Lane.DEFAULT)]
)
async def test_a_lower_priority_waits_for_the_others(
    client: httpx.AsyncClient, queue: MemoryQueue, given: int | None, lane: Lane
):
    assert (await embed(client, priority=given)).status_code == 200
    assert queue.submitted[-1][1].lane == lane


@PATHS
async def test_inputs_have_texts_and_images_in_their_order(connect: Connect, path: str):
    queue = MemoryQueue(models=(SEEING,))
    picture = {"type": "image_url", "image_url": {"url": IMAGE}}
    inputs = [{"content": [TEXT]}, {"content": [TEXT, picture, TEXT]}, {"content": [picture]}]
    reply = await embed(connect(queue), path, texts=None, inputs=inputs, embedding_types=["float"])
    found = EmbedByTypeResponse.model_validate(reply.json(), strict=True)
    assert (len(found.embeddings.float_ or ()), found.texts) == (3, [])
    text, image = TextPart("A meal."), ImagePart(OPAQUE)
    assert last_embedding(queue).inputs == ("A meal.", MixedInput((text, image, text)), MixedInput((image,)))


async def test_an_input_with_images_is_never_cut(connect: Connect):
    reply = await embed(connect(MemoryQueue(models=(SEEING,))), texts=None, images=[IMAGE], max_tokens=7)
    assert reply.status_code == 400 and reply.json()["message"].startswith("max_tokens: ")


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
        ({"texts": None}, "Send one of texts, images and inputs"),
        ({"texts": [], "images": []}, "Send one of texts, images and inputs"),
        ({"images": ["data:,a"]}, "Send one of texts, images and inputs"),
        ({"inputs": [{"content": [TEXT]}]}, "Send one of texts, images and inputs"),
        ({"texts": ["a", ""]}, "texts[1] is empty."),
        (
            {"texts": None, "images": ["data:image/png;base64,AAAA"]},
            f"images[0]: the model {MODEL.id} reads texts only.",
        ),
        ({"texts": None, "inputs": [{"content": [TEXT]}, {"content": []}]}, "inputs[1] is empty."),
        (
            {"texts": None, "inputs": [{"content": [TEXT, {"type": "text", "text": ""}]}]},
            "inputs[0].content[1] is empty.",
        ),
        (
            {
                "texts": None,
                "inputs": [{"content": [TEXT, {"type": "image_url", "image_url": {"url": IMAGE}}]}],
            },
            f"inputs[0].content[1]: the model {MODEL.id} reads texts only.",
        ),
        ({"texts": None, "inputs": [{"content": [{"type": "sound"}]}]}, "inputs[0].content[0].type: "),
        ({"embedding_types": ["int4"]}, "embedding_types[0]: "),
        ({"input_type": "song"}, "input_type: "),
        ({"truncate": "MIDDLE"}, "truncate: "),
        ({"max_tokens": 0}, "max_tokens: "),
        ({"priority": -1}, "priority: "),
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


def test_every_parameter_of_the_client_is_known():
    taken = set(CohereEmbedRequest.__struct_fields__)
    for embed_with in (cohere.Client.embed, V2Client.embed):
        assert set(inspect.signature(embed_with).parameters) - CLIENTS_OWN <= taken
