"""Images as inputs of /v1/embeddings, several vectors of one input, and vectors in fewer bytes."""

import base64
import struct
from typing import Any

import httpx
import pytest

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from tests.support.memory_queue import MODEL, PAGE_COLUMNS, PAGE_MODEL, PAGE_ROWS, MemoryQueue, memory_vector
from tests.unit.api.conftest import Connect
from tests.unit.api.requests.test_images import ENCODED, IMAGE, FakeImages

URL = "https://example.org/page.png"
DATA = f"data:image/png;base64,{ENCODED}"
FETCHED = f"picture of {URL}".encode()


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(models=(MODEL, PAGE_MODEL))


@pytest.fixture
def images() -> FakeImages:
    return FakeImages()


@pytest.fixture
def client(connect: Connect, queue: MemoryQueue, images: FakeImages) -> httpx.AsyncClient:
    return connect(queue, images)


async def embed(client: httpx.AsyncClient, model: str = PAGE_MODEL.id, **fields: Any) -> httpx.Response:
    return await client.post("/v1/embeddings", json={"model": model, **fields})


def inputs(queue: MemoryQueue) -> tuple[object, ...]:
    job = queue.submitted[-1][0]
    assert isinstance(job, EmbedJob)
    return job.inputs


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (URL, MixedInput((ImagePart(FETCHED),))),
        (DATA, MixedInput((ImagePart(IMAGE),))),
        (f"data:;base64,{ENCODED}", MixedInput((ImagePart(IMAGE),))),
        (f"data:application/octet-stream;base64,{ENCODED}", MixedInput((ImagePart(IMAGE),))),
        ("data: a few words", "data: a few words"),
        ({"image": ENCODED}, MixedInput((ImagePart(IMAGE),))),
        ({"image": URL}, MixedInput((ImagePart(FETCHED),))),
        ({"text": "a bill", "image": DATA}, MixedInput((ImagePart(IMAGE), TextPart("a bill")))),
        ({"text": "a bill"}, "a bill"),
        ("https is a protocol", "https is a protocol"),
        (f"see {URL}", f"see {URL}"),
    ],
)
async def test_every_form_of_a_picture_is_read(
    client: httpx.AsyncClient, queue: MemoryQueue, given: object, read: object
):
    assert (await embed(client, input=given)).status_code == 200
    assert inputs(queue) == (read,)
    assert (await embed(client, input=["a text", given])).status_code == 200
    assert inputs(queue) == ("a text", read)


async def test_a_picture_beside_goes_with_each_text(client: httpx.AsyncClient, queue: MemoryQueue):
    await embed(client, input=["front", "back"], image_url=DATA)
    assert inputs(queue) == tuple(
        MixedInput((ImagePart(IMAGE), TextPart(text))) for text in ("front", "back")
    )


async def test_an_address_is_a_text_for_a_model_that_does_not_see(
    client: httpx.AsyncClient, queue: MemoryQueue, images: FakeImages
):
    assert (await embed(client, MODEL.id, input=URL)).status_code == 200
    assert inputs(queue) == (URL,)
    assert not images.asked


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"input": DATA}, "input[0]"),
        ({"input": ["a", {"image": URL}]}, "input[1].image"),
        ({"input": "a", "image_url": URL}, "image_url"),
    ],
)
async def test_a_picture_is_refused_by_a_model_that_does_not_see(
    client: httpx.AsyncClient, queue: MemoryQueue, images: FakeImages, fields: dict[str, Any], place: str
):
    reply = await embed(client, MODEL.id, **fields)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith(f"{place} is a picture")
    assert not images.asked
    assert not queue.submitted


async def test_a_picture_that_cannot_be_fetched_is_never_embedded_as_a_text(
    client: httpx.AsyncClient, queue: MemoryQueue
):
    reply = await embed(client, input=["a", "https://bad.example/page.png"])
    assert reply.status_code == 400
    assert "https://bad.example/page.png is bad" in reply.json()["error"]["message"]
    assert not queue.submitted


@pytest.mark.parametrize("given", [[{"image": DATA}, [1, 2]], [{}], [{"text": ""}], {"image": ""}])
async def test_what_is_neither_text_nor_picture_is_refused(client: httpx.AsyncClient, given: object):
    reply = await embed(client, input=given)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "input"


async def test_an_unknown_model_is_not_asked_for_what_it_sees(client: httpx.AsyncClient, images: FakeImages):
    assert (await embed(client, "unheard-of", input=URL)).status_code == 404
    assert not images.asked


async def test_several_vectors_of_one_input_are_a_list_of_vectors(client: httpx.AsyncClient):
    reply = (await embed(client, input=["two words", DATA], patch_grids=True)).json()
    text, page = reply["data"]
    wanted = [list(struct.unpack("<16f", memory_vector((0, row), 16))) for row in range(2)]
    assert text["embedding"] == wanted
    assert len(page["embedding"]) == 1 + PAGE_ROWS * PAGE_COLUMNS
    assert page["patch_grids"] == [{"first": 1, "rows": PAGE_ROWS, "columns": PAGE_COLUMNS}]
    assert text["patch_grids"] == []
    assert reply["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


async def test_grids_are_told_only_when_asked_for(client: httpx.AsyncClient):
    assert "patch_grids" not in (await embed(client, input=DATA)).json()["data"][0]


async def test_several_vectors_as_bytes_tell_their_shape(client: httpx.AsyncClient):
    [text] = (await embed(client, input="two words", encoding_format="base64")).json()["data"]
    assert text["shape"] == [2, 16]
    assert base64.b64decode(text["embedding"]) == b"".join(memory_vector((0, row), 16) for row in range(2))


async def test_a_job_shows_its_vectors_and_grids(client: httpx.AsyncClient):
    job = (
        await client.post("/v1/jobs", json={"task": "embed", "model": PAGE_MODEL.id, "input": [DATA]})
    ).json()
    result = (await client.get(f"/v1/jobs/{job['id']}?wait=5")).json()["result"]
    assert len(result["data"][0]["embedding"]) == 7
    assert result["data"][0]["patch_grids"][0]["columns"] == PAGE_COLUMNS


VECTOR = struct.unpack("<384f", memory_vector("one", 384))
MOST = max(map(abs, VECTOR))
BITS = "".join("1" if value > 0 else "0" for value in VECTOR)
BYTES = [int(BITS[at : at + 8], 2) for at in range(0, 384, 8)]


@pytest.mark.parametrize(
    ("dtype", "code", "wanted"),
    [
        ("float", "f", list(VECTOR)),
        ("float16", "e", list(struct.unpack("<384e", struct.pack("<384e", *VECTOR)))),
        ("int8", "b", [round(127 * value / MOST) for value in VECTOR]),
        ("ubinary", "B", BYTES),
        ("binary", "b", [byte - 128 for byte in BYTES]),
    ],
)
async def test_each_number_format_as_numbers_and_as_bytes(
    client: httpx.AsyncClient, dtype: str, code: str, wanted: list[float]
):
    numbers = (await embed(client, MODEL.id, input="one", output_dtype=dtype)).json()["data"][0]["embedding"]
    assert numbers == wanted
    fields = {"input": "one", "output_dtype": dtype, "encoding_format": "base64"}
    raw = base64.b64decode((await embed(client, MODEL.id, **fields)).json()["data"][0]["embedding"])
    assert list(struct.unpack(f"<{len(wanted)}{code}", raw)) == wanted
