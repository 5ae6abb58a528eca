"""Which parts of a page each token of a query means."""

import httpx
import numpy as np
import pytest

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob
from tests.support.memory_queue import MODEL, PAGE_COLUMNS, PAGE_MODEL, PAGE_ROWS, MemoryQueue, memory_vector
from tests.unit.api.conftest import Connect
from tests.unit.api.requests.test_images import ENCODED, IMAGE, FakeImages


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(models=(MODEL, PAGE_MODEL))


@pytest.fixture
def client(connect: Connect, queue: MemoryQueue) -> httpx.AsyncClient:
    return connect(queue, FakeImages())


async def compare(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    body = {"model": PAGE_MODEL.id, "query": "two words", "image": ENCODED, **fields}
    return await client.post("/v1/similarity-maps", json=body)


def vector(place: int, row: int) -> np.ndarray:
    return np.frombuffer(memory_vector((place, row), PAGE_MODEL.dimensions), dtype="<f4")


async def test_each_vector_of_the_query_is_compared_with_each_patch(
    client: httpx.AsyncClient, queue: MemoryQueue
):
    reply = (await compare(client)).json()
    [(job, _)] = queue.submitted
    assert isinstance(job, EmbedJob)
    assert job.inputs == ("two words", MixedInput((ImagePart(IMAGE),)))
    assert (reply["rows"], reply["columns"], len(reply["maps"])) == (PAGE_ROWS, PAGE_COLUMNS, 2)
    for token in range(2):
        for row in range(PAGE_ROWS):
            for column in range(PAGE_COLUMNS):
                patch = vector(1, 1 + row * PAGE_COLUMNS + column)  # the first vector is no patch
                assert reply["maps"][token][row][column] == pytest.approx(
                    float(vector(0, token) @ patch), abs=1e-6
                )
    assert reply["usage"]["total_tokens"] == 3


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": MODEL.id}, 400, "model"),
        ({"model": "unheard-of"}, 404, "model"),
        ({"query": ""}, 400, "query"),
        ({"image": "https://bad.example/page.png"}, 400, "image"),
        ({"image": "no base64!"}, 400, "image"),
    ],
)
async def test_what_cannot_be_compared_is_refused(
    client: httpx.AsyncClient, queue: MemoryQueue, fields: dict[str, str], status: int, param: str
):
    reply = await compare(client, **fields)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)
    assert not queue.submitted
