"""No part of a Redis URL's user part is shown, also where nobody has percent-encoded it."""

import traceback
from urllib.parse import quote

import pytest

from jobs.store.connection import connect, connect_async
from jobs.store.redis_url import checked_url, hide_urls, shown_url

NASTY = [
    *"#@/?:%&=+ '\"\\[]{}<>|^`~!$();,*",
    "\t",
    "\n",
    "ä",
    "\u2100",
    "\ufe6b",
    "\u2028",
    "@/",
    "/@",
    "?@",
    "#@",
    "@#",
    "//",
    "%zz",
]
CANARIES = ("canary", "sparrow")


def urls_with(password: str) -> list[str]:
    address = "127.0.0.1:6379/0"
    return [
        *(
            f"{scheme}://{user}:{password}@{address}"
            for scheme in ("redis", "rediss")
            for user in ("", "alice")
        ),
        f"redis://{password}:other@{address}",
        f"redis://{password}@{address}",
        f"unix://:{password}@/run/redis.sock",
        f"unix://{password}:x@/run/redis.sock?db=1",
        f"unix:///run/redis.sock?password={password}",
        f"redis://127.0.0.1?username=alice&password={password}",
    ]


def told_of(url: str) -> list[str]:
    """Whatever is said of the URL, and the password that the client would send, if any."""
    said = [shown_url(url), hide_urls(f"unrecognized arguments: --redis-url {url} end")]
    for make in (checked_url, connect, connect_async):
        try:
            made = make(url)
        except ValueError as error:
            said += traceback.format_exception(error)
        else:
            if not isinstance(made, str):
                said += [str(made.connection_pool.connection_kwargs.get("host"))]
    return said


@pytest.mark.parametrize("nasty", NASTY)
def test_a_nasty_password_is_refused_or_understood_and_never_shown(nasty: str):
    for url in urls_with(f"canary{nasty}sparrow"):
        said = told_of(url)
        for canary in CANARIES:
            assert not [text for text in said if canary in text], (url, said)


@pytest.mark.parametrize("nasty", NASTY)
def test_an_encoded_password_arrives_as_it_is(nasty: str):
    password = f"canary{nasty}sparrow"
    encoded = quote(password, safe="")
    for url in (f"redis://alice:{encoded}@host:1/2", f"unix://alice:{encoded}@/run/redis.sock"):
        assert connect(url).connection_pool.connection_kwargs["password"] == password
        assert connect_async(url).connection_pool.connection_kwargs["username"] == "alice"
        assert shown_url(url) in ("redis://host:1/2", "unix:///run/redis.sock")


@pytest.mark.parametrize(
    "url", ["redis://:canary#x@host", "redis://:12/x@host", "redis://a:b?c@host", "redis://:a[b@host"]
)
def test_who_forgot_to_encode_is_told_to(url: str):
    with pytest.raises(ValueError, match="percent-encode"):
        checked_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://host",
        "redis://host:6380/3?socket_timeout=5&max_connections=9",
        "rediss://[::1]:6379/0?ssl_cert_reqs=none",
        "redis://:p@ss@host:6379",
        "unix:///run/a@b/redis.sock",
        "unix:///run/a folder/redis.sock?db=2",
        " redis://host\n",
    ],
)
def test_good_urls_are_taken(url: str):
    assert checked_url(url) == url.strip()


@pytest.mark.parametrize(
    "url",
    ["", "localhost:6379", "http://host", "redis:/host", "redis://host:port", "redis://host:99999", "redis://host/one",
     "redis://host?nothing=1", "redis://host?db=x", "unix://run/redis.sock", "unix://", "redis://h:1:2"],
)  # fmt: skip
def test_what_is_no_redis_url_is_refused_at_once(url: str):
    with pytest.raises(ValueError, match=r"(Redis|socket)"):
        checked_url(url)
