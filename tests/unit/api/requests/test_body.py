from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from starlette.requests import Request

from api.dialects.mlxq.jobs import JobListQuery, JobRequest
from api.dialects.openai.embedding import EmbeddingRequest
from api.requests.body import decode_body, decode_query
from jobs.errors import InvalidInput
from tests.support.memory_queue import MemoryQueue
from tests.unit.api.conftest import Connect

LIMIT_BYTES = 1024


def refusal(raw: bytes, shape: type = EmbeddingRequest) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        decode_body(msgspec.json.Decoder(shape), raw)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "param", "words"),
    [
        (b'{"model":"m"}', "input", "Missing field: input."),
        (b'{"model":1,"input":"a"}', "model", "model: Expected `str`, got `int`."),
        (b'{"model":"m","input":[1.5]}', "input", "input[0]: "),
        (b'{"model":"m","input":[[1,"a"]]}', "input", "input[0][1]: Expected `int`, got `str`."),
        (b'{"model":"m","input":[-1]}', "input", ">= 0"),
        (b'{"model":"m","input":[true]}', "input", "got `bool`"),
        (b'{"model":"m","input":[99999999999999999999]}', "input", "input[0]: "),
        (b'{"model":"m","input":"a","dimensions":-1}', "dimensions", ">= 0"),
        (b'{"model":"m","input":"a","dimensions":"8"}', "dimensions", "got `str`"),
        (b'{"model":"m","input":"a","encoding_format":"hex"}', "encoding_format", "'hex'"),
        (b'{"model":"m","input":"a","truncate":"middle"}', "truncate", "'middle'"),
        (b"[]", None, "Expected `object`, got `array`."),
    ],
)
def test_a_refusal_names_the_field_at_fault(raw: bytes, param: str | None, words: str):
    error = refusal(raw)
    assert error.param == param
    assert words in error.message


@pytest.mark.parametrize("text", [b"x" * 300_000, b"`" * 300_000, b" - at `$.input" * 20_000])
def test_a_long_text_is_told_in_part(text: bytes):
    error = refusal(b'{"model":"m","input":"a","encoding_format":"%b"}' % text)
    assert "Invalid enum value" in error.message
    assert len(error.message) < 1100
    assert error.param in ("encoding_format", "input")


@pytest.mark.parametrize(
    ("field", "param"),
    [
        (b'"metadata":{"":"x"}', "metadata"),
        (b'"metadata":{"a":1}', "metadata"),
        (b'"lane":"fast"', "lane"),
        (b'"ttl":0', "ttl"),
        (b'"time_limit":99999999999999', "time_limit"),
        (b'"retries":-1', "retries"),
    ],
)
def test_a_refusal_names_the_job_field_at_fault(field: bytes, param: str):
    assert refusal(b'{"task":"embed","model":"m","input":"a",%b}' % field, JobRequest).param == param


def test_more_metadata_than_allowed_is_refused():
    pairs = {str(i): "x" for i in range(17)}
    raw = msgspec.json.encode({"task": "embed", "model": "m", "input": "a", "metadata": pairs})
    assert refusal(raw, JobRequest).param == "metadata"


def test_a_job_of_an_unknown_task_is_refused():
    assert refusal(b'{"task":"sing","model":"m","input":"a"}', JobRequest).param == "task"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"not json",
        b'{"model":"m","input":"a"} x',
        b'{"model":"m","input":"\xff"}',
        b'{"model":"m","input":"\\ud800"}',
        b'{"model":"m","input":"a","x":' + b"[" * 100_000,
    ],
    ids=["empty", "cut", "words", "trailing", "bad utf-8", "lone surrogate", "deep"],
)
async def test_what_is_not_json_is_answered_400(client: httpx.AsyncClient, raw: bytes):
    reply = await client.post("/v1/embeddings", content=raw)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_input"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=-1", "status=odd", "lane=fast"])
def test_a_refused_query_names_the_parameter(query: str):
    request = Request({"type": "http", "query_string": query.encode()})
    with pytest.raises(InvalidInput) as caught:
        decode_query(request, JobListQuery)
    assert caught.value.param == query.partition("=")[0]


async def test_a_body_announced_too_large_is_refused_unread(connect: Connect, queue: MemoryQueue):
    client = connect(queue, max_body_bytes=LIMIT_BYTES)
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"x")
        yield b"x" * (LIMIT_BYTES + 1)

    headers = {"Content-Length": str(LIMIT_BYTES + 1)}
    request = client.build_request("POST", "/v1/embeddings", content=body(), headers=headers)
    reply = await client.send(request)
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "body_too_large"
    assert not read


async def test_a_chunked_body_is_refused_where_it_passes_the_limit(connect: Connect, queue: MemoryQueue):
    client = connect(queue, max_body_bytes=LIMIT_BYTES)
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 512
            yield b" " * 512

    reply = await client.post("/v1/embeddings", content=body())
    assert reply.status_code == 413
    assert sent <= LIMIT_BYTES + 2 * 512


async def test_a_body_in_chunks_is_read_whole(connect: Connect, queue: MemoryQueue):
    async def body() -> AsyncIterator[bytes]:
        yield b'{"model":"org/mo'
        yield b'del","input":"a"}'

    assert (await connect(queue).post("/v1/embeddings", content=body())).status_code == 200


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (r"a\ud800b", 24),
        (r"\udc00", 23),
        (r"a\ud800", 24),
        (r"\ud83d\ude00\ud800\n", 35),
        (r"\ud800\ud800\udc00", 23),
        (r"\\\ud800", 25),
    ],
)
def test_half_a_character_is_named(text: str, at: int):
    message = refusal(b'{"model":"m","input":"' + b" " + text.encode() + b'"}').message
    assert "half of a character" in message and f"at byte {at} " in message


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud800", "ud800"])
def test_whole_characters_are_read(text: str):
    body = b'{"model":"m","input":"%b"}' % text.encode()
    assert decode_body(msgspec.json.Decoder(EmbeddingRequest), body).input


def test_a_body_that_ends_too_early_is_truncated():
    assert "truncated" in refusal(b'{"model":"m","input":"a').message
