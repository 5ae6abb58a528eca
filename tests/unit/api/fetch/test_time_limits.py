"""How long a fetch may take, and how many may run at a time."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from api.fetch.resolver import Resolver
from jobs.errors import InvalidInput, Overloaded
from tests.support.waiting import forever, until
from tests.support.web import Names, Web, never, redirect, reply, serve
from tests.unit.api.fetch.conftest import HOME, PRIVATE, MakeFetcher, refusal


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
