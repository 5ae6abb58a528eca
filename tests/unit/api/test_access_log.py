import logging
import re

import httpx
import pytest

from api.access_log import AccessLog
from api.app import create_app
from jobs.process.log import EventFormatter
from jobs.settings import Settings
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue

QUEUE = MemoryQueue(models=(MODEL, CHAT_MODEL))
FORMAT = EventFormatter("%(levelname)s %(message)s")


@pytest.fixture
def client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(AccessLog(create_app(QUEUE, Settings())))
    return httpx.AsyncClient(transport=transport, base_url="http://mlxq")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "mlxq.access")

    def read() -> list[str]:
        return [FORMAT.format(record) for record in caplog.records if record.name == "mlxq.access"]

    return read


async def test_a_request_is_one_line_with_its_job(client: httpx.AsyncClient, lines):
    await client.post("/v1/embeddings", json={"model": MODEL.id, "input": "a"})
    [line] = lines()
    assert re.fullmatch(r"INFO POST /v1/embeddings 200 \d+ ms job_id=\w+", line)


async def test_a_stream_and_an_accepted_job_tell_the_same_job_as_the_reply(client: httpx.AsyncClient, lines):
    chat = {"model": CHAT_MODEL.id, "messages": [{"role": "user", "content": "a"}], "stream": True}
    streamed = await client.post("/v1/chat/completions", json=chat)
    accepted = await client.post("/v1/jobs", json={"task": "embed", "model": MODEL.id, "input": "a"})
    assert [line.rpartition("=")[2] for line in lines()] == [
        streamed.headers["x-job-id"],
        accepted.json()["id"],
    ]


async def test_several_jobs_of_a_request_are_counted(client: httpx.AsyncClient, lines):
    await client.post("/v1/completions", json={"model": CHAT_MODEL.id, "prompt": ["a", "b", "c"]})
    assert re.search(r"job_id=\w+\+2$", lines()[0])


async def test_what_is_refused_is_logged_without_a_job(client: httpx.AsyncClient, lines):
    await client.post("/v1/embeddings", json={"model": "nowhere", "input": "a"})
    await client.get("/nowhere")
    assert [re.sub(r"\d+ ms", "N ms", line) for line in lines()] == [
        "INFO POST /v1/embeddings 404 N ms",
        "INFO GET /nowhere 404 N ms",
    ]


async def test_no_query_key_or_body_is_logged_and_no_line_can_be_forged(client: httpx.AsyncClient, lines):
    await client.post(
        "/v1/embeddings?api_key=secret",
        json={"model": MODEL.id, "input": "secret"},
        headers={"Authorization": "Bearer secret", "Idempotency-Key": "secret"},
    )
    await client.get("/v1/jobs/x%0AINFO%20GET%20forged" + "x" * 1000)
    assert len(lines()) == 2
    assert not any("secret" in line or "\n" in line for line in lines())
    assert all(len(line) < 300 for line in lines())


async def test_probes_are_not_shown(client: httpx.AsyncClient, lines):
    for path in ("/", "/health", "/ready"):
        await client.get(path)
    assert lines() == []
