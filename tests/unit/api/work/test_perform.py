import asyncio
from typing import Any

import httpx
import pytest

from jobs.errors import QueueUnavailable, ServerStopping
from jobs.job import Lane, SubmitOptions
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect

WORK = {"model": MODEL.id, "input": "a"}


async def post(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await client.post(
        "/v1/embeddings", json=WORK, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def options(queue: MemoryQueue) -> SubmitOptions:
    return queue.submitted[-1][1]


async def test_a_waiting_callers_job_lives_no_longer_than_the_wait(connect: Connect, queue: MemoryQueue):
    await post(connect(queue, wait_s=2.5, sync_result_ttl_s=33))
    assert options(queue).lane == Lane.INTERACTIVE
    assert options(queue).awaited
    assert options(queue).ttl_s == 3
    assert options(queue).result_ttl_s == 33


async def test_a_job_that_takes_too_long_is_answered_504_and_canceled(connect: Connect):
    queue = MemoryQueue(held=True)
    reply = await post(connect(queue, wait_s=0.01))
    assert reply.status_code == 504
    assert reply.json()["error"]["code"] == "timeout"
    assert len(queue.canceled) == 1


async def test_a_job_done_later_is_answered_when_it_is_done(connect: Connect):
    class Slow(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            self.release()
            return await super().wait(job_id, timeout_s)

    assert (await post(connect(Slow(held=True)))).status_code == 200


async def test_a_caller_may_ask_for_a_shorter_wait(connect: Connect):
    queue = MemoryQueue(held=True)
    reply = await post(connect(queue), Prefer="wait=0")
    assert reply.status_code == 504
    assert len(queue.canceled) == 1


async def test_a_caller_cannot_ask_for_a_longer_wait(connect: Connect, queue: MemoryQueue):
    await post(connect(queue, wait_s=5), Prefer="wait=100000")
    assert options(queue).ttl_s == 5


async def test_respond_async_is_answered_202_with_the_jobs_place(connect: Connect):
    queue = MemoryQueue(held=True)
    client = connect(queue)
    reply = await post(client, Prefer="respond-async")
    assert reply.status_code == 202
    assert reply.headers["preference-applied"] == "respond-async"
    assert reply.headers["location"] == f"/v1/jobs/{reply.json()['id']}"
    assert reply.json()["status"] == "queued"
    assert (await client.get(reply.headers["location"])).json()["id"] == reply.json()["id"]


async def test_respond_async_takes_the_default_lane_and_keeps_the_result(
    connect: Connect, queue: MemoryQueue
):
    await post(connect(queue, result_ttl_s=44, time_limit_s=55), Prefer="respond-async")
    assert options(queue) == SubmitOptions(lane=Lane.DEFAULT, time_limit_s=55, result_ttl_s=44)


async def test_respond_async_with_wait_is_answered_200_if_the_result_comes_in_time(client: httpx.AsyncClient):
    reply = await post(client, Prefer="respond-async, wait=5")
    assert reply.status_code == 200
    assert reply.json()["object"] == "list"


async def test_respond_async_with_wait_is_answered_202_if_it_does_not(connect: Connect):
    queue = MemoryQueue(held=True)
    reply = await post(connect(queue), Prefer="respond-async, wait=0")
    assert reply.status_code == 202
    assert reply.headers["preference-applied"] == "respond-async, wait=0"
    assert not queue.canceled


async def test_the_same_idempotency_key_gets_the_same_job(client: httpx.AsyncClient, queue: MemoryQueue):
    first = await post(client, Idempotency_Key="k")
    second = await post(client, Idempotency_Key="k")
    assert first.json() == second.json()
    assert len(queue.submitted) == 1


async def test_the_same_idempotency_key_with_other_work_is_answered_409(client: httpx.AsyncClient):
    await post(client, Idempotency_Key="k")
    other = await client.post("/v1/embeddings", json={**WORK, "input": "b"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 409
    assert other.json()["error"]["code"] == "idempotency_key_reused"


async def test_a_keyed_job_outlives_the_wait_so_that_a_retry_finds_it(connect: Connect):
    queue = MemoryQueue(held=True)
    client = connect(queue, wait_s=0.01, result_ttl_s=44)
    first = await post(client, Idempotency_Key="k")
    assert first.status_code == 504
    assert "/v1/jobs/" in first.json()["error"]["message"]
    assert not queue.canceled
    queue.release()
    assert (await post(client, Idempotency_Key="k")).status_code == 200
    assert options(queue).ttl_s is None
    assert options(queue).result_ttl_s == 44


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_an_unusable_idempotency_key_is_refused(client: httpx.AsyncClient, key: str):
    reply = await post(client, Idempotency_Key=key)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "Idempotency-Key"


async def test_a_queue_that_is_away_when_the_job_is_to_be_canceled_changes_no_answer(connect: Connect):
    class Away(MemoryQueue):
        async def cancel(self, job_id: str) -> bool:
            raise QueueUnavailable

    assert (await post(connect(Away(held=True), wait_s=0.01))).status_code == 504


async def test_a_request_that_the_server_aborts_takes_its_job_with_it(connect: Connect):
    waiting = asyncio.Event()

    class Held(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            waiting.set()
            return await super().wait(job_id, timeout_s)

    queue = Held(held=True)
    request = asyncio.create_task(post(connect(queue)))
    await waiting.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert len(queue.canceled) == 1


async def test_without_a_worker_the_caller_is_told_to_come_back_and_the_job_is_canceled(connect: Connect):
    queue = MemoryQueue(held=True, unserved=True)
    reply = await post(connect(queue))
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "no_worker")
    assert int(reply.headers["retry-after"]) > 1
    assert len(queue.canceled) == 1


async def test_without_a_worker_a_keyed_job_is_kept_and_the_caller_told_how_to_find_it(connect: Connect):
    queue = MemoryQueue(held=True, unserved=True)
    reply = await post(connect(queue), Idempotency_Key="k")
    assert reply.status_code == 503
    assert "same Idempotency-Key" in reply.json()["error"]["message"]
    assert not queue.canceled


ONE, SEVERAL, STREAM, STREAMS = (
    ("/v1/completions", {"model": CHAT_MODEL.id, "prompt": prompt, "stream": stream})
    for stream in (False, True)
    for prompt in ("a", ["a", "b"])
)


@pytest.mark.parametrize("asked", [ONE, SEVERAL, STREAM, STREAMS])
@pytest.mark.parametrize(
    ("queue_of", "said"),
    [
        ({"held": True}, "did not finish in 0.01 s and goes on."),
        ({"held": True, "unserved": True}, "The work is kept for the next one."),
        ({"failure": ServerStopping()}, "The server is stopping; the work is kept."),
    ],
)
async def test_whose_work_has_a_key_is_told_how_to_find_it(
    connect: Connect, asked: tuple[str, dict[str, Any]], queue_of: dict[str, Any], said: str
):
    path, body = asked
    for key in ({"Idempotency-Key": "k"}, {}):
        queue = MemoryQueue(models=(CHAT_MODEL,), **queue_of)
        message = (await connect(queue, wait_s=0.01).post(path, json=body, headers=key)).json()["error"][
            "message"
        ]
        assert (said in message) == bool(key)
        assert ("same Idempotency-Key" in message) == bool(key)
        assert ("/v1/jobs/" in message) == (bool(key) and body["prompt"] == "a")
        assert len(queue.canceled) == (0 if key or "failure" in queue_of else len(body["prompt"]))


async def test_without_a_worker_asynchronous_work_is_taken(connect: Connect):
    queue = MemoryQueue(held=True, unserved=True)
    assert (await post(connect(queue), Prefer="respond-async, wait=0")).status_code == 202
    assert not queue.canceled
