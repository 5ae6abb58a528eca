"""HTTPS: the name that is asked for, and certificates."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.web import Web, certificate, redirect, serve
from tests.unit.api.fetch.conftest import HOME, MakeFetcher, refusal


@pytest.fixture
def certificate_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of example.test, and trusted."""
    file = certificate("example.test", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


@pytest.fixture
async def tls_web(certificate_file: Path) -> AsyncIterator[tuple[Web, list[str | None]]]:
    """The server, and the names that were asked for in TLS."""
    names: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_file)

    def note(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = note
    async with serve(Web(), context) as web:
        yield web, names


async def test_https_is_asked_for_by_the_name_and_not_by_the_checked_address(
    make: MakeFetcher, tls_web: tuple[Web, list[str | None]]
):
    web, names = tls_web
    fetcher = make(HOME, names={"example.test": [[HOME]]})

    assert await fetcher.fetch(f"https://example.test:{web.port}/", param="image_url") == b"found"
    assert names == ["example.test"]
    assert f"Host: example.test:{web.port}\r\n" in web.heads[0]


async def test_a_certificate_for_another_name_is_refused(
    make: MakeFetcher, tls_web: tuple[Web, list[str | None]]
):
    web, _ = tls_web
    fetcher = make(HOME, names={"other.test": [[HOME]]})

    assert "certificate is not valid" in await refusal(fetcher, f"https://other.test:{web.port}/")
    assert "certificate is not valid" in await refusal(fetcher, f"https://127.0.0.1:{web.port}/")
    assert web.heads == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    make: MakeFetcher, tls_web: tuple[Web, list[str | None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    web, _ = tls_web
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate("stranger.test", tmp_path)))
    fetcher = make(HOME, names={"example.test": [[HOME]]})

    assert "certificate is not valid" in await refusal(fetcher, f"https://example.test:{web.port}/")


async def test_https_where_only_http_is_spoken_is_refused(make: MakeFetcher):
    async def complain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(complain, HOME, 0) as server:
        port = server.sockets[0].getsockname()[1]

        assert "safe connection" in await refusal(make(HOME), f"https://127.0.0.1:{port}/")


async def test_a_redirect_may_leave_https(make: MakeFetcher, web: Web, tls_web: tuple[Web, list[str | None]]):
    tls, _ = tls_web
    tls.answers["/"] = redirect(f"http://127.0.0.1:{web.port}/")
    fetcher = make(HOME, names={"example.test": [[HOME]]})

    assert await fetcher.fetch(f"https://example.test:{tls.port}/", param="image_url") == b"found"
