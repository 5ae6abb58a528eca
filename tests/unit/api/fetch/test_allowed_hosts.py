"""Which hosts may be fetched from, by name and by every address that a name leads to."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from api.fetch.fetcher import Fetcher
from jobs.settings import Settings
from tests.support.web import Names, Web, redirect, reply
from tests.unit.api.fetch.conftest import HOME, PRIVATE, MakeFetcher, refusal


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


def test_no_http_client_is_loaded_before_there_is_a_url():
    code = (
        "import sys; from api.fetch.fetcher import Fetcher; from jobs.settings import Settings; Fetcher(Settings());"
        " print(sorted({'httpx2', 'httpcore2', 'ssl'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "http" not in run.stdout
