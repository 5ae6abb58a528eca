"""No part of a Redis URL's user part is shown, also where nobody has percent-encoded it."""

import traceback
from urllib.parse import quote

import pytest

from jobs.store.connection import connect, connect_async
from jobs.store.redis_url import SentinelUrl, checked_url, hide_urls, sentinel_url, shown_url

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
        f"redis+sentinel://alice:{password}@127.0.0.1:1,127.0.0.1:2/service/0",
        f"redis+sentinel://:{password}@127.0.0.1/service",
        f"redis+sentinel://127.0.0.1/service?sentinel_password={password}",
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
                options = made.connection_pool.connection_kwargs
                said += [str(options.get("host"))]
                if service := options.get("service"):
                    said += [str(service._sentinels), service._name]
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


def test_the_url_of_a_service_names_sentinels_and_what_the_redis_wants():
    url = (
        "rediss+sentinel://alice:p%40ss@one,[::1]:7/my.service/3?sentinel_password=s%26t&ssl_ca_certs=/ca.pem"
    )

    assert sentinel_url(checked_url(url)) == SentinelUrl(
        sentinels=(("one", 26379), ("::1", 7)),
        service="my.service",
        server="rediss://alice:p%40ss@one/3?ssl_ca_certs=%2Fca.pem",
        sentinel_username=None,
        sentinel_password="s&t",
    )
    assert shown_url(url) == "rediss+sentinel://one,[::1]:7/my.service/3"
    for made in (connect(url), connect_async(url)):
        options = made.connection_pool.connection_kwargs
        assert (options["username"], options["password"], options["db"]) == ("alice", "p@ss", 3)
        assert options["service"]._options["ssl_ca_certs"] == options["ssl_ca_certs"] == "/ca.pem"
        assert options["service"]._options["password"] == "s&t"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one",
        "redis+sentinel://one/",
        "redis+sentinel://one/service/x",
        "redis+sentinel://one:port/service",
        "redis+sentinel://one,two:99999/service",
        "sentinel://one/service",
    ],
)
def test_a_url_of_no_service_is_refused_with_the_form_of_one(url: str):
    with pytest.raises(ValueError, match=r"redis\+sentinel://"):
        connect(url)
