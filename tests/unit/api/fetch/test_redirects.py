"""Redirects are held to the rules of the first URL."""

import pytest

from tests.support.web import Web, redirect, reply
from tests.unit.api.fetch.conftest import HOME, PRIVATE, MakeFetcher, refusal


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
