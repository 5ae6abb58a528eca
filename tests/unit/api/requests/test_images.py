"""Images that come with a request."""

import asyncio
import base64
from urllib.parse import quote

import httpx
import pytest

from api.requests.images import ImageReference, load_images
from jobs.content import ImagePart
from jobs.errors import InvalidInput
from tests.support.chat_requests import chat, last_chat
from tests.support.memory_queue import MemoryQueue
from tests.support.waiting import forever, turns
from tests.unit.api.conftest import Connect

IMAGE = bytes(range(256))
ENCODED = base64.b64encode(IMAGE).decode()


class FakeImages:
    """Serves b"picture of URL" after a while; an address with "bad" in it is refused, once the others have begun."""

    def __init__(self, *, hangs: bool = False) -> None:
        """hangs: the other addresses do not answer."""
        self._hangs = hangs
        self.asked: list[str] = []
        self.dropped: list[str] = []

    async def fetch(self, url: str, *, param: str) -> bytes:
        self.asked.append(url)
        try:
            await (forever() if self._hangs and "bad" not in url else turns(1))
        except asyncio.CancelledError:
            self.dropped.append(url)
            raise
        if "bad" in url:
            raise InvalidInput(f"{url} is bad.", param=param)
        return f"picture of {url}".encode()

    async def check(self, data: bytes, *, param: str) -> None:
        if data.startswith(b"no picture"):
            raise InvalidInput("Not a picture.", param=param)


async def load(*texts: str, source: FakeImages | None = None) -> list[bytes]:
    references = [ImageReference(text, f"images[{place}]") for place, text in enumerate(texts)]
    return await load_images(references, source)


@pytest.mark.parametrize(
    "text",
    [
        ENCODED,
        "\n".join(ENCODED[start : start + 76] for start in range(0, len(ENCODED), 76)),
        f"data:image/png;base64,{ENCODED}",
        f"data:image/x-unheard-of;base64,{ENCODED}",
        f"DATA:IMAGE/JPEG;name=a.jpg;BASE64,{ENCODED}",
        f"data:;base64,{ENCODED}",
        f"data:application/octet-stream;base64,{ENCODED}",
        f"data:png;base64,{ENCODED}",
        ENCODED.rstrip("="),
        ENCODED[:-1],
        base64.urlsafe_b64encode(IMAGE).decode(),
        f"data:image/png;base64,{base64.urlsafe_b64encode(IMAGE).decode().rstrip('=')}",
        f"data:image/png;base64,{quote(ENCODED, safe='')}",
        f"data:image/png,{quote(IMAGE)}",
    ],
    ids=[
        "bare", "lines", "data", "any type", "capitals", "no type", "no image's type", "half a type", "unpadded",
        "half padded", "URL-safe", "URL-safe, unpadded", "base64 in percents", "percents",
    ],
)  # fmt: skip
async def test_an_image_is_read_in_every_dress(text: str):
    assert await load(text) == [IMAGE]


async def test_its_bytes_say_whether_it_is_an_image():
    encoded = base64.b64encode(b"no picture at all").decode()
    for text in (
        f"data:image/png;base64,{encoded}",
        f"data:application/pdf;base64,{encoded}",
        "data:,no picture",
    ):
        with pytest.raises(InvalidInput, match=r"^images\[0\]: Not a picture"):
            await load(text, source=FakeImages())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("data:image/png;base64,", "empty"),
        (ENCODED.rstrip("=")[:-1], "base64"),
        (ENCODED[:8] + "=" + ENCODED[8:], "base64"),
        ("data:image/png;base64,%25%25", "base64"),
        ("data:image/png,", "empty"),
        ("pic-ture_", "base64"),
        ("grüße", "base64"),
        ("data:image/png;base64", "data: is not read"),
        ("file:///etc/passwd", "file: is not read"),
        ("ftp://host/a.png", "ftp: is not read"),
    ],
)
async def test_what_is_no_image_is_refused_by_its_place(text: str, words: str):
    with pytest.raises(InvalidInput, match=r"^images\[1\]: ") as caught:
        await load(ENCODED, text)
    assert words in caught.value.message
    assert caught.value.param == "images"


async def test_addresses_are_fetched_side_by_side_and_put_in_their_places():
    source = FakeImages()
    found = await load("http://a/1", ENCODED, "HTTPS://b/2", source=source)
    assert found == [b"picture of http://a/1", IMAGE, b"picture of HTTPS://b/2"]


async def test_one_address_that_fails_drops_the_others():
    source = FakeImages(hangs=True)
    with pytest.raises(InvalidInput, match="bad"):
        await load("http://a/1", "http://bad", "http://a/2", source=source)
    assert sorted(source.dropped) == ["http://a/1", "http://a/2"]


async def test_more_images_than_a_request_may_have_are_refused_before_any_is_fetched():
    source = FakeImages()
    with pytest.raises(InvalidInput, match="at most 256") as caught:
        await load(*["http://a/1"] * 257, source=source)
    assert caught.value.param == "images"
    assert not source.asked


async def test_nothing_is_fetched_for_a_request_that_is_refused_anyway():
    source = FakeImages()
    with pytest.raises(InvalidInput):
        await load("http://a/1", "%%%", source=source)
    assert not source.asked


def message_with_image(url: str) -> list[dict[str, object]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


async def test_a_chat_shows_the_fetched_picture_to_the_model(connect: Connect, generator: MemoryQueue):
    client = connect(generator, FakeImages())
    assert (await chat(client, messages=message_with_image("http://a/1"))).status_code == 200
    assert last_chat(generator).messages[0].content == (ImagePart(b"picture of http://a/1"),)


async def test_a_job_takes_pictures_too(connect: Connect, generator: MemoryQueue):
    body = {"task": "generate", "model": "org/chat", "messages": message_with_image("http://a/1")}
    assert (await connect(generator, FakeImages()).post("/v1/jobs", json=body)).status_code == 202
    assert last_chat(generator).messages[0].content == (ImagePart(b"picture of http://a/1"),)


async def test_a_chat_with_a_picture_that_cannot_be_fetched_is_refused(
    connect: Connect, generator: MemoryQueue
):
    reply = await chat(connect(generator, FakeImages()), messages=message_with_image("http://bad"))
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, "messages")
    assert error["message"] == "messages[0].content[0].image_url: http://bad is bad."
    assert not generator.submitted


async def test_without_a_fetcher_addresses_are_refused(
    chat_client: httpx.AsyncClient, generator: MemoryQueue
):
    reply = await chat(chat_client, messages=message_with_image("https://a/1"))
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, "messages")
    assert error["message"].startswith("messages[0].content[0].image_url: ")
    assert "base64" in error["message"]
    assert not generator.submitted


async def test_a_bad_option_is_told_before_anything_is_fetched(connect: Connect, generator: MemoryQueue):
    source = FakeImages()
    reply = await chat(connect(generator, source), messages=message_with_image("http://a/1"), stop="")
    assert reply.json()["error"]["param"] == "stop"
    assert not source.asked


async def test_every_picture_is_looked_at_wherever_it_came_from():
    harmful = base64.b64encode(b"no picture").decode()
    with pytest.raises(InvalidInput, match=r"^images\[1\]: Not a picture"):
        await load("https://example.test/a.png", harmful, source=FakeImages())
