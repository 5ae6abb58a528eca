"""Scripts, styles and icons that come with mlxq."""

import hashlib

import httpx
import pytest

from api.ui.assets import FOLDER, Assets

HTMX = "htmx-2.0.11.min.js"
HTMX_SHA256 = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""Of dist/htmx.min.js in the package htmx.org 2.0.11 of npm (`npm pack htmx.org@2.0.11`)."""


def test_htmx_is_what_its_makers_published():
    assert hashlib.sha256((FOLDER / HTMX).read_bytes()).hexdigest() == HTMX_SHA256
    assert "Zero-Clause BSD" in (FOLDER / "htmx-LICENSE.txt").read_text()


@pytest.mark.parametrize("name", ["console.css", "search.js", "viewer.js", "icon.svg"])
def test_nothing_of_ours_is_fetched_from_elsewhere(name: str):
    text = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")

    assert "http:" not in text
    assert "https:" not in text
    assert "//" not in text.replace("// ", "") or name.endswith(".js")
    assert "@import" not in text


async def test_an_asset_is_kept_for_as_long_as_its_address_is_that_of_its_content(console: httpx.AsyncClient):
    url = Assets().url("console.css")

    versioned = await console.get(url)
    bare = await console.get("/ui/static/console.css")
    outdated = await console.get("/ui/static/console.css?v=0123456789abcdef")

    assert versioned.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in versioned.headers["cache-control"]
    assert bare.headers["cache-control"] == outdated.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.css", "..%2Fconsole.py", "%2e%2e/console.py", "__init__.py"])
async def test_nothing_but_assets_is_sent(console: httpx.AsyncClient, name: str):
    reply = await console.get(f"/ui/static/{name}")

    assert reply.status_code == 404
