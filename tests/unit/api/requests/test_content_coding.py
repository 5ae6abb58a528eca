"""Compressed bodies."""

import gzip
import zlib
from collections.abc import Callable

import httpx
import pytest
import zstandard

from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

BODY = b'{"model": "%b", "input": ["%b"]}' % (MODEL.id.encode(), b"word " * 200)
LIMIT_BYTES = 2048


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


def streamed_zstd(body: bytes) -> bytes:
    """Its frame does not say how large the body is."""
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(body) + compressor.flush()


Compress = Callable[[bytes], bytes]
WAYS: list[tuple[str, Compress]] = [
    ("gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("zstd", zstandard.ZstdCompressor().compress),
    ("zstd", streamed_zstd),
    ("identity", bytes),
    ("", bytes),
]


async def send(client: httpx.AsyncClient, raw: bytes, coding: str) -> httpx.Response:
    return await client.post("/v1/embeddings", content=raw, headers={"Content-Encoding": coding})


@pytest.mark.parametrize(("coding", "compress"), WAYS)
async def test_a_compressed_body_is_read(
    client: httpx.AsyncClient, queue: MemoryQueue, coding: str, compress: Compress
):
    plain = await client.post("/v1/embeddings", content=BODY)
    reply = await send(client, compress(BODY), coding)

    assert reply.status_code == 200
    assert reply.json() == plain.json()


@pytest.mark.parametrize(("coding", "compress"), WAYS[:7])
async def test_what_grows_over_the_limit_is_too_large(connect: Connect, coding: str, compress: Compress):
    client = connect(MemoryQueue(), max_body_bytes=LIMIT_BYTES)
    fits = await send(client, compress(b" " * (LIMIT_BYTES - len(BODY)) + BODY), coding)
    large = compress(b" " * (LIMIT_BYTES + 1 - len(BODY)) + BODY)
    bomb = compress(b" " * 50_000_000)

    assert fits.status_code == 200
    for raw in (large, bomb):
        reply = await send(client, raw, coding)
        assert reply.status_code == 413, coding
        assert reply.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize(("coding", "compress"), WAYS[:7])
async def test_a_body_that_is_not_whole_is_refused(
    client: httpx.AsyncClient, queue: MemoryQueue, coding: str, compress: Compress
):
    for raw in (compress(BODY)[:-5], b"", b"junk of no kind", BODY):
        reply = await send(client, raw, coding)
        assert reply.status_code == 400, raw
        assert reply.json()["error"]["code"] == "invalid_input"
    assert not queue.submitted


@pytest.mark.parametrize(("coding", "compress"), [WAYS[0], *WAYS[5:7]])
async def test_a_body_may_be_compressed_in_parts(
    client: httpx.AsyncClient, queue: MemoryQueue, coding: str, compress: Compress
):
    """Members of gzip, frames of zstd: compressors that work on several threads write them."""
    parts = [compress(part) for part in (BODY[:10], b"", BODY[10:])]

    assert (await send(client, b"".join(parts), coding)).status_code == 200
    for cut in (b"".join(parts)[:-1], b"".join(parts) + b"junk"):
        assert (await send(client, cut, coding)).status_code == 400
    assert len(queue.submitted) == 1


@pytest.mark.parametrize(("coding", "compress"), WAYS[:7])
async def test_a_body_whose_end_alone_is_missing_is_refused(
    client: httpx.AsyncClient, coding: str, compress: Compress
):
    """All of its JSON is there; the last block, or the checksum, is not."""
    whole = compress(BODY + b" " * 300_000)
    for missing in (1, 3):
        assert (await send(client, whole[:-missing], coding)).status_code == 400


@pytest.mark.parametrize("coding", ["br", "gzip, zstd", "compress"])
async def test_a_coding_that_is_not_read_is_named(client: httpx.AsyncClient, coding: str):
    reply = await send(client, b"...", coding)
    message = reply.json()["error"]["message"]
    assert reply.status_code == 400
    assert coding in message and "zstd" in message


async def test_decompressed_bodies_count_among_all_bodies(connect: Connect):
    """What the process holds of them is bounded, and given back."""
    client = connect(MemoryQueue(), bodies_bytes=4096)
    for _ in range(10):
        assert (await send(client, gzip.compress(BODY), "gzip")).status_code == 200
