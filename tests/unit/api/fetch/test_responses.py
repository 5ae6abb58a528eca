"""Which responses are taken: their status, size and encoding."""

import asyncio
import gzip

import pytest

from tests.support.web import Web, never, reply
from tests.unit.api.fetch.conftest import HOME, MEGA, MakeFetcher, refusal


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"x", status="404 Not Found"),
        reply(b"x", status="201 Created"),
        reply(b"x", status="206 Partial Content"),
        reply(b"x", status="500 Oops"),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        reply(b"x", status="302 Found"),
    ],
)
async def test_any_status_but_200_is_refused(make: MakeFetcher, web: Web, answer: bytes):
    web.answers["/"] = answer

    assert f"status {answer.split()[1].decode()}" in await refusal(
        make(HOME), f"http://127.0.0.1:{web.port}/"
    )


async def test_ten_gigabytes_are_refused_when_they_are_announced(make: MakeFetcher, web: Web):
    async def announce(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        await never(writer)

    web.answers["/"] = announce

    message = await refusal(make(HOME), f"http://127.0.0.1:{web.port}/")

    assert "larger than 20,971,520 bytes" in message


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_without_end_is_refused_at_the_limit(make: MakeFetcher, web: Web, chunked: bool):
    sent_bytes = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        piece = bytes(65536)
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"Transfer-Encoding: chunked\r\n" * chunked + b"\r\n")
        while True:
            writer.write(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
            await writer.drain()
            sent_bytes += len(piece)

    web.answers["/"] = pour

    message = await refusal(make(HOME, fetch_max_bytes=MEGA), f"http://127.0.0.1:{web.port}/")

    assert "larger than 1,000,000 bytes" in message
    assert sent_bytes < 50 * MEGA


async def test_a_body_of_exactly_the_limit_is_fetched(make: MakeFetcher, web: Web):
    fetcher = make(HOME, fetch_max_bytes=MEGA)
    web.answers["/fits"] = reply(bytes(MEGA))
    web.answers["/large"] = reply(bytes(MEGA + 1))

    assert len(await fetcher.fetch(f"http://127.0.0.1:{web.port}/fits", param="image_url")) == MEGA
    assert "larger than" in await refusal(fetcher, f"http://127.0.0.1:{web.port}/large")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "identity, gzip"])
async def test_a_compressed_answer_is_refused(make: MakeFetcher, web: Web, encoding: str):
    bomb = gzip.compress(bytes(100 * MEGA), 1)
    web.answers["/"] = reply(bomb, f"Content-Encoding: {encoding}")

    assert len(bomb) < MEGA
    assert "compressed" in await refusal(make(HOME), f"http://127.0.0.1:{web.port}/")


async def test_two_headers_about_compression_are_both_read(make: MakeFetcher, web: Web):
    web.answers["/"] = reply(b"x", "Content-Encoding: gzip", "Content-Encoding: identity")

    assert "compressed" in await refusal(make(HOME), f"http://127.0.0.1:{web.port}/")


async def test_a_compressed_transfer_is_refused(make: MakeFetcher, web: Web):
    web.answers["/"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"

    assert "did not speak HTTP" in await refusal(make(HOME), f"http://127.0.0.1:{web.port}/")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    ],
)
async def test_an_answer_that_is_cut_off_or_not_http_is_refused(make: MakeFetcher, web: Web, answer: bytes):
    web.answers["/"] = answer

    assert "did not speak HTTP" in await refusal(make(HOME), f"http://127.0.0.1:{web.port}/")
