"""Which URLs may be fetched, and how messages show them."""

import pytest

from tests.support.web import Names, Web
from tests.unit.api.fetch.conftest import HOME, MakeFetcher, refusal


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
