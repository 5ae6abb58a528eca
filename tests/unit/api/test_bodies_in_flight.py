"""All bodies that a process holds are bounded together."""

import asyncio

import httpx
import pytest

from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.waiting import until, within
from tests.unit.api.conftest import Connect

LIMIT_BYTES = 10_000
LARGE = {"model": MODEL.id, "input": "x" * 6_000}
SMALL = {"model": MODEL.id, "input": "x"}


@pytest.fixture
def holding() -> MemoryQueue:
    return MemoryQueue(held=True)


@pytest.fixture
def bounded(connect: Connect, holding: MemoryQueue) -> httpx.AsyncClient:
    return connect(holding, bodies_bytes=LIMIT_BYTES)


async def test_a_body_is_refused_while_others_take_the_room(bounded: httpx.AsyncClient, holding: MemoryQueue):
    first = asyncio.create_task(bounded.post("/v1/embeddings", json=LARGE))
    await until(lambda: holding.submitted)
    second = await bounded.post("/v1/embeddings", json=LARGE)
    assert second.status_code == 429
    assert "and this process takes 10000 at most. Try again in 1 s." in second.json()["error"]["message"]
    assert second.headers["retry-after"] == "1"

    small = asyncio.create_task(bounded.post("/v1/embeddings", json=SMALL))
    await until(lambda: len(holding.submitted) == 2)
    holding.release()
    assert [(await within(task)).status_code for task in (first, small)] == [200, 200]


async def test_bodies_of_requests_that_have_ended_take_no_room(client: httpx.AsyncClient, connect: Connect):
    bounded = connect(MemoryQueue(), bodies_bytes=LIMIT_BYTES)
    for body in (LARGE, {"model": "unknown", "input": "x" * 6_000}, LARGE, {"input": "x" * 6_000}, LARGE):
        assert (await bounded.post("/v1/embeddings", json=body)).status_code in (200, 400, 404)


async def test_a_body_above_the_bound_is_read_where_it_is_alone(connect: Connect):
    reply = await connect(MemoryQueue(), bodies_bytes=1024).post("/v1/embeddings", json=LARGE)
    assert reply.status_code == 200
