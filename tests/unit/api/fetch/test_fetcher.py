"""Against real servers on 127.0.0.1, which is no public address: each test says what it allows."""

import asyncio
import gzip
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from api.fetch.fetcher import Fetcher
from api.fetch.resolver import Resolver
from jobs.errors import InvalidInput, Overloaded
from jobs.settings import Settings
from tests.support.waiting import forever, until
from tests.support.web import Names, Web, certificate, never, redirect, reply, serve

HOME = "127.0.0.1"
MEGA = 1_000_000
PRIVATE = "not on the public internet"

MakeFetcher = Callable[..., Fetcher]


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serve(Web()) as web:
        yield web


@pytest.fixture
async def make() -> AsyncIterator[MakeFetcher]:
    async with AsyncExitStack() as fetchers:

        def make_fetcher(
            *allow: str, names: dict[str, Sequence[Sequence[str]]] | Resolver | None = None, **settings: Any
        ) -> Fetcher:
            resolver = names if isinstance(names, Resolver) else Names(names or {})
            fetcher = Fetcher(Settings(fetch_allow=allow, **settings), resolver)
            fetchers.push_async_callback(fetcher.aclose)
            return fetcher

        yield make_fetcher


async def refusal(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(InvalidInput) as refused:
        await fetcher.fetch(url, param="image_url")
    assert refused.value.param == "image_url"
    return refused.value.message


async def test_an_allowed_host_is_fetched_from(make: MakeFetcher, web: Web):
    fetcher = make("example.test", names={"example.test": [[HOME]]})
    web.answers["/a%20b.png"] = reply(b"picture")

    content = await fetcher.fetch(f"http://example.test:{web.port}/a b.png?size=2#top", param="image_url")

    assert content == b"picture"
    lines = web.heads[0].split("\r\n")
    assert lines[0] == "GET /a%20b.png?size=2 HTTP/1.1"
    assert f"Host: example.test:{web.port}" in lines
    assert "Accept-Encoding: identity" in lines


@pytest.mark.parametrize(
    "allowed", ["127.0.0.0/8", "127.0.0.1", "127.0.0.1:{port}", "example.test", "example.test:{port}"]
)
async def test_a_host_may_be_allowed_by_network_address_or_name(make: MakeFetcher, web: Web, allowed: str):
    fetcher = make(allowed.format(port=web.port), names={"example.test": [[HOME]]})

    assert await fetcher.fetch(f"http://example.test:{web.port}/", param="image_url") == b"found"


async def test_an_allowed_address_may_come_inside_of_an_ipv6_one(make: MakeFetcher, web: Web):
    url = f"http://[::ffff:127.0.0.1]:{web.port}/"

    assert await make(HOME).fetch(url, param="image_url") == b"found"
    assert f"Host: [::ffff:127.0.0.1]:{web.port}\r\n" in web.heads[0]


@pytest.mark.parametrize("allowed", ["10.0.0.0/8", "127.0.0.1:1", "example.test:1", "test", "other.test"])
async def test_a_host_that_is_not_quite_what_is_allowed_is_refused(make: MakeFetcher, web: Web, allowed: str):
    fetcher = make(allowed, names={"example.test": [[HOME]]})

    assert PRIVATE in await refusal(fetcher, f"http://example.test:{web.port}/")
    assert web.connections == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127。0。0。1",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ],
)
async def test_an_address_that_is_not_public_is_refused(make: MakeFetcher, web: Web, host: str):
    message = await refusal(make(), f"http://{host}:{web.port}/")

    assert PRIVATE in message
    assert "MLXQ_FETCH_ALLOW" in message
    assert web.connections == 0


@pytest.mark.parametrize(
    "private", ["10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00:ec2::254"]
)
async def test_a_name_that_leads_to_a_private_address_is_refused(make: MakeFetcher, private: str):
    assert PRIVATE in await refusal(make(names={"inner.test": [[private]]}), "https://inner.test/")


async def test_one_private_address_among_public_ones_is_enough_to_refuse(make: MakeFetcher, web: Web):
    fetcher = make(HOME, names={"both.test": [[HOME, "10.0.0.1"]], "mixed.test": [["8.8.8.8", "10.0.0.1"]]})

    assert PRIVATE in await refusal(fetcher, f"http://both.test:{web.port}/")
    assert PRIVATE in await refusal(fetcher, "http://mixed.test/")
    assert web.connections == 0


async def test_the_name_is_not_resolved_again_after_the_check(make: MakeFetcher, web: Web):
    names = Names({"rebind.test": [[HOME], ["10.0.0.1"]]})
    fetcher = make(HOME, names=names)

    assert await fetcher.fetch(f"http://rebind.test:{web.port}/", param="image_url") == b"found"
    assert names.asked == ["rebind.test"]


async def test_a_name_that_leads_elsewhere_the_second_time_is_checked_again(make: MakeFetcher, web: Web):
    fetcher = make(HOME, names={"rebind.test": [[HOME], ["10.0.0.1"]]})
    web.answers["/again"] = redirect("/")

    assert PRIVATE in await refusal(fetcher, f"http://rebind.test:{web.port}/again")
    assert web.connections == 1


async def test_the_real_resolver_is_asked_where_no_other_is_given(web: Web):
    fetcher, open_fetcher = Fetcher(Settings()), Fetcher(Settings(fetch_allow=("localhost",)))

    assert PRIVATE in await refusal(fetcher, f"http://localhost:{web.port}/")
    assert await open_fetcher.fetch(f"http://localhost:{web.port}/", param="image_url") == b"found"
    await fetcher.aclose()
    await open_fetcher.aclose()


async def test_the_next_address_is_tried_when_one_is_dead(make: MakeFetcher, web: Web):
    fetcher = make("example.test", names={"example.test": [["::1", HOME]]})

    assert await fetcher.fetch(f"http://example.test:{web.port}/", param="image_url") == b"found"


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.0.0.1.",
        "1.2.3.4.5",
        "１２７.0.0.1",
        "[127.0.0.1]",
        "[::1%25lo]",
        "a..b",
        ".a",
        "a b",
        "a\\b",
        "a%00b",
        "%31",
        "",
        "x" * 64,
        ".".join(["x" * 50] * 6),
    ],
)
async def test_a_host_in_an_unusual_form_is_refused_before_it_is_looked_up(
    make: MakeFetcher, web: Web, host: str
):
    class Anything(Names):
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            self.asked.append(host)
            return [HOME]

    names = Anything({})
    message = await refusal(make(HOME, names=names), f"http://{host}:{web.port}/")

    assert "unusual host" in message or "not a valid URL" in message
    assert names.asked == []
    assert web.connections == 0


@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "data", "ws", "HTTPX", "javascript", ""])
async def test_only_http_and_https_are_fetched(make: MakeFetcher, web: Web, scheme: str):
    message = await refusal(make(HOME), f"{scheme}://127.0.0.1:{web.port}/")

    assert "http:// or https://" in message
    assert web.connections == 0


@pytest.mark.parametrize(
    "url", ["", "cat.png", "//127.0.0.1/", "http:", "http:/x", "http://[", "http://a:b/", "\ud800"]
)
async def test_what_is_no_url_is_refused(make: MakeFetcher, url: str):
    message = await refusal(make(HOME), url)

    assert "http:// or https://" in message or "unusual host" in message


async def test_the_scheme_is_read_without_its_case(make: MakeFetcher, web: Web):
    assert await make(HOME).fetch(f"HtTp://127.0.0.1:{web.port}/", param="image_url") == b"found"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "99999999999"])
async def test_a_port_that_does_not_exist_is_refused(make: MakeFetcher, port: str):
    assert "port" in await refusal(make(HOME), f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("user", ["me:hidden@", "hidden@", ":hidden@", "example.test\\@", "8.8.8.8%40@"])
async def test_a_url_with_credentials_is_refused(make: MakeFetcher, web: Web, user: str):
    message = await refusal(make(HOME), f"http://{user}127.0.0.1:{web.port}/x?key=hidden#hidden")

    assert message.startswith(f"http://127.0.0.1:{web.port}/x came with a user name or password.")
    assert "hidden" not in message
    assert web.connections == 0


async def test_a_message_shows_the_url_without_its_query_and_not_too_much_of_it(make: MakeFetcher):
    assert (await refusal(make(), "https://10.0.0.1/a/b.png?sig=s3cret#x")).startswith(
        "https://10.0.0.1/a/b.png is"
    )
    assert len(await refusal(make(), "https://10.0.0.1/" + "a" * 50_000)) < 500
    assert "AAAA" not in await refusal(make(), "data:image/png;base64," + "A" * 99)


async def test_a_name_in_another_script_is_asked_for_in_its_ascii_form(make: MakeFetcher, web: Web):
    names = Names({"xn--bcher-kva.test": [[HOME]]})

    assert (
        await make(HOME, names=names).fetch(f"http://bücher.test:{web.port}/", param="image_url") == b"found"
    )


async def test_a_name_without_an_address_is_refused(make: MakeFetcher):
    assert "has no address" in await refusal(make(), "http://nowhere.test/")
    assert "has no address" in await refusal(make(names={"empty.test": [[]]}), "http://empty.test/")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_followed(make: MakeFetcher, web: Web, status: str):
    web.answers["/a/b"] = redirect("../?x=1", status)

    assert await make(HOME).fetch(f"http://127.0.0.1:{web.port}/a/b", param="image_url") == b"found"
    assert web.heads[1].startswith("GET /?x=1 ")


async def test_a_redirect_to_another_host_asks_that_host(make: MakeFetcher, web: Web):
    fetcher = make(HOME, names={"a.test": [[HOME]], "b.test": [[HOME]]})
    web.answers["/a"] = redirect(f"//b.test:{web.port}/")

    assert await fetcher.fetch(f"http://a.test:{web.port}/a", param="image_url") == b"found"
    assert f"Host: b.test:{web.port}\r\n" in web.heads[1]


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://inner.test/"]
)
async def test_a_redirect_to_a_private_address_is_refused(make: MakeFetcher, web: Web, target: str):
    fetcher = make("outer.test", names={"outer.test": [[HOME]], "inner.test": [["192.168.0.1"]]})
    web.answers["/away"] = redirect(f"{target}?key=hidden")

    message = await refusal(fetcher, f"http://outer.test:{web.port}/away?key=hidden")

    assert message.startswith(f"http://outer.test:{web.port}/away (redirected to {target}) is not fetched")
    assert PRIVATE in message
    assert "hidden" not in message


async def test_a_redirect_to_the_same_address_under_a_name_that_is_not_allowed_is_refused(
    make: MakeFetcher, web: Web
):
    fetcher = make("outer.test", names={"outer.test": [[HOME]], "inner.test": [[HOME]]})
    web.answers["/away"] = redirect(f"http://inner.test:{web.port}/")

    assert PRIVATE in await refusal(fetcher, f"http://outer.test:{web.port}/away")
    assert web.connections == 1


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("file:///etc/passwd", "file scheme"),
        ("http://a:b@127.0.0.1/", "user name or password"),
        ("http://2130706433/", "unusual host"),
        ("http://[::x]/", "not a valid URL"),
    ],
)
async def test_a_redirect_is_held_to_the_same_rules(make: MakeFetcher, web: Web, target: str, says: str):
    web.answers["/away"] = redirect(target)

    message = await refusal(make(HOME), f"http://127.0.0.1:{web.port}/away")

    assert message.startswith(f"http://127.0.0.1:{web.port}/away redirects. ")
    assert says in message


async def test_five_redirects_are_followed_and_six_are_not(make: MakeFetcher, web: Web):
    for step in range(6):
        web.answers[f"/{step}"] = redirect(f"/{step + 1}")
    web.answers["/6"] = reply(b"found")

    assert await make(HOME).fetch(f"http://127.0.0.1:{web.port}/1", param="image_url") == b"found"
    assert "more than 5 times" in await refusal(make(HOME), f"http://127.0.0.1:{web.port}/0")


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


async def test_a_slow_body_is_given_up_in_time(make: MakeFetcher, web: Web):
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    web.answers["/"] = drip

    async with asyncio.timeout(60):
        message = await refusal(make(HOME, fetch_timeout_s=0.3), f"http://127.0.0.1:{web.port}/")

    assert "took longer than 0.3 s" in message


async def test_slow_redirects_share_one_time_limit(make: MakeFetcher, web: Web):
    async def redirect_slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(redirect("/"))

    web.answers["/"] = redirect_slowly

    assert "took longer" in await refusal(make(HOME, fetch_timeout_s=0.5), f"http://127.0.0.1:{web.port}/")
    assert web.connections < 5


async def test_a_slow_name_server_is_given_up_in_time(make: MakeFetcher):
    class Slow(Resolver):
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            await forever()

    assert "took longer" in await refusal(make(names=Slow(), fetch_timeout_s=0.2), "http://slow.test/")


async def test_a_host_that_does_not_answer_leaves_time_for_the_next_address(
    make: MakeFetcher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("api.fetch.download._CONNECT_TIMEOUT_S", 0.2)
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind((HOME, 0))
        deaf.listen(0)  # room for one that waits; what comes then is left without an answer
        for caller in (first, second):
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        async with asyncio.timeout(60):
            message = await refusal(make(HOME), f"http://127.0.0.1:{deaf.getsockname()[1]}/")

    assert "cannot be connected to" in message


async def test_a_port_where_nobody_listens_is_refused(make: MakeFetcher, web: Web):
    with socket.socket() as unused:
        unused.bind((HOME, 0))
        message = await refusal(make(HOME), f"http://127.0.0.1:{unused.getsockname()[1]}/")

    assert "cannot be connected to" in message


async def test_proxies_in_the_environment_are_not_used(
    make: MakeFetcher, web: Web, monkeypatch: pytest.MonkeyPatch
):
    async with serve(Web()) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert await make(HOME).fetch(f"http://127.0.0.1:{web.port}/", param="image_url") == b"found"
        assert proxy.connections == 0


async def test_nothing_of_one_fetch_is_sent_with_the_next(make: MakeFetcher, web: Web):
    fetcher = make(HOME)
    web.answers["/"] = reply(b"found", "Set-Cookie: a=b")

    for _ in range(2):
        await fetcher.fetch(f"http://127.0.0.1:{web.port}/", param="image_url")

    assert web.heads[0] == web.heads[1]
    assert web.connections == 2


async def test_a_fetch_that_was_given_up_hangs_up(make: MakeFetcher, web: Web):
    web.answers["/"] = never
    task = asyncio.create_task(make(HOME).fetch(f"http://127.0.0.1:{web.port}/", param="image_url"))
    await until(lambda: web.heads)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await until(lambda: not web.open)


async def test_too_many_fetches_at_the_same_time_wait_and_then_are_refused(make: MakeFetcher):
    class Slow(Names):
        now = peak = 0

        async def resolve(self, host: str, port: int) -> Sequence[str]:
            self.now += 1
            self.peak = max(self.peak, self.now)
            try:
                return await super().resolve(host, port) or await forever()
            finally:
                self.now -= 1

    names = Slow({"slow.test": [()] * 200, "fast.test": [["10.0.0.1"]]})
    fetcher = make(names=names, fetch_timeout_s=0.5)
    ends = await asyncio.gather(
        *(fetcher.fetch("http://slow.test/", param="image_url") for _ in range(100)), return_exceptions=True
    )

    assert names.peak == 32
    assert sum(isinstance(end, Overloaded) for end in ends) >= 30
    assert all(isinstance(end, Overloaded | InvalidInput) for end in ends)
    assert PRIVATE in await refusal(fetcher, "http://fast.test/")


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


def test_no_http_client_is_loaded_before_there_is_a_url():
    code = (
        "import sys; from api.fetch.fetcher import Fetcher; from jobs.settings import Settings; Fetcher(Settings());"
        " print(sorted({'httpx2', 'httpcore2', 'ssl'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "http" not in run.stdout
