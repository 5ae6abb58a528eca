import asyncio
from typing import Any

import httpx
import pytest

from jobs.embed import EmbedJob
from jobs.errors import InputTooLong, QueueUnavailable
from jobs.job import Lane, SubmitOptions
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.unit.api.conftest import Connect


async def submit(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/jobs", json={"task": "embed", "model": MODEL.id, "input": "a", **fields})


async def test_a_job_is_accepted_with_its_place_and_view(connect: Connect):
    reply = await submit(connect(MemoryQueue(held=True)), metadata={"page": "7"})
    view = reply.json()
    assert reply.status_code == 202
    assert reply.headers["location"] == f"/v1/jobs/{view['id']}"
    assert "preference-applied" not in reply.headers
    assert view.pop("id")
    assert view.pop("created_at") > 1_700_000_000
    assert view == {
        "object": "job",
        "status": "queued",
        "task": "embed",
        "model": MODEL.id,
        "lane": "default",
        "position": 0,
        "attempts": 0,
        "started_at": None,
        "ended_at": None,
        "worker": None,
        "metadata": {"page": "7"},
        "result": None,
        "error": None,
    }


async def test_a_job_is_treated_as_its_fields_say(client: httpx.AsyncClient, queue: MemoryQueue):
    reply = await client.post(
        "/v1/jobs",
        json={
            "task": "embed",
            "model": MODEL.id,
            "input": ["a", "b"],
            "lane": "bulk",
            "time_limit": 10,
            "ttl": 20,
            "result_ttl": 30,
            "retries": 3,
            "metadata": {"a": "b"},
        },
        headers={"Idempotency-Key": "k"},
    )
    assert reply.status_code == 202
    job, options = queue.submitted[0]
    assert job == EmbedJob(model=MODEL.id, inputs=("a", "b"))
    assert options == SubmitOptions(
        lane=Lane.BULK,
        time_limit_s=10,
        ttl_s=20,
        result_ttl_s=30,
        retries=3,
        metadata={"a": "b"},
        idempotency_key="k",
    )


async def test_a_job_submitted_twice_with_one_key_is_one_job(client: httpx.AsyncClient):
    headers = {"Idempotency-Key": "k"}
    body = {"task": "embed", "model": MODEL.id, "input": "a"}
    replies = [await client.post("/v1/jobs", json=body, headers=headers) for _ in range(2)]
    assert replies[0].json()["id"] == replies[1].json()["id"]


async def test_a_job_without_a_task_is_refused(client: httpx.AsyncClient):
    reply = await client.post("/v1/jobs", json={"model": MODEL.id, "input": "a"})
    assert reply.json()["error"]["param"] == "task"


async def test_a_finished_job_shows_the_reply_of_its_endpoint(client: httpx.AsyncClient):
    job_id = (await submit(client)).json()["id"]
    view = (await client.get(f"/v1/jobs/{job_id}")).json()
    direct = await client.post("/v1/embeddings", json={"model": MODEL.id, "input": "a"})
    assert view["status"] == "finished"
    assert view["result"] == direct.json()


async def test_a_result_may_be_asked_for_in_base64(client: httpx.AsyncClient):
    job_id = (await submit(client)).json()["id"]
    view = (await client.get(f"/v1/jobs/{job_id}?encoding_format=base64")).json()
    assert isinstance(view["result"]["data"][0]["embedding"], str)


async def test_a_failed_job_shows_its_error(connect: Connect):
    client = connect(MemoryQueue(failure=InputTooLong("Too long.", param="input")))
    view = (await client.get(f"/v1/jobs/{(await submit(client)).json()['id']}?wait=1")).json()
    assert view["status"] == "failed"
    assert view["result"] is None
    assert view["error"] == {"code": "context_length_exceeded", "message": "Too long.", "param": "input"}


async def test_a_long_poll_ends_with_the_job(connect: Connect):
    class DoneOnceWaitedFor(MemoryQueue):
        async def wait(self, job_id: str, timeout_s: float):
            asyncio.get_running_loop().call_later(0.01, self.release)
            return await super().wait(job_id, timeout_s)

    client = connect(DoneOnceWaitedFor(held=True))
    job_id = (await submit(client)).json()["id"]
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["status"] == "queued"
    async with asyncio.timeout(60):
        assert (await client.get(f"/v1/jobs/{job_id}?wait=60")).json()["status"] == "finished"


async def test_a_long_poll_that_runs_out_shows_the_job_as_it_is(connect: Connect):
    queue = MemoryQueue(held=True)
    client = connect(queue, wait_s=0.01)
    job_id = (await submit(client)).json()["id"]
    reply = await client.get(f"/v1/jobs/{job_id}?wait=1000")
    assert reply.status_code == 200
    assert reply.json()["status"] == "queued"
    assert not queue.canceled


async def test_a_queued_job_shows_its_position(connect: Connect):
    client = connect(MemoryQueue(held=True))
    ids = [(await submit(client)).json()["id"] for _ in range(3)]
    assert [(await client.get(f"/v1/jobs/{i}")).json()["position"] for i in ids] == [0, 1, 2]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_job_is_answered_404(client: httpx.AsyncClient, method: str):
    reply = await client.request(method, "/v1/jobs/none")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "job_not_found"


async def test_a_queued_job_can_be_canceled_once(connect: Connect):
    client = connect(MemoryQueue(held=True))
    job_id = (await submit(client)).json()["id"]
    first = await client.delete(f"/v1/jobs/{job_id}")
    second = await client.delete(f"/v1/jobs/{job_id}")
    assert (first.status_code, first.json()["status"]) == (200, "canceled")
    assert (second.status_code, second.json()["status"]) == (200, "canceled")
    assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 404


async def test_a_job_that_has_ended_is_deleted_and_shown_once_more_without_its_result(
    client: httpx.AsyncClient,
):
    job_id = (await submit(client, metadata={"page": "7"})).json()["id"]
    deleted = (await client.delete(f"/v1/jobs/{job_id}")).json()
    assert (deleted["status"], deleted["result"], deleted["metadata"]) == ("finished", None, {"page": "7"})
    assert (await client.get(f"/v1/jobs/{job_id}")).status_code == 404
    assert (await client.get("/v1/jobs")).json()["data"] == []


async def test_a_job_that_ends_while_it_is_canceled_keeps_its_result(connect: Connect):
    class Quick(MemoryQueue):
        async def delete(self, job_id: str):
            return None

    client = connect(Quick())
    job_id = (await submit(client)).json()["id"]
    reply = await client.delete(f"/v1/jobs/{job_id}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "job_already_ended")
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["result"] is not None


@pytest.mark.parametrize("result_ttl", [0, -1, 31 * 86_400 + 1, 1.5, "60"])
async def test_a_result_is_kept_for_some_seconds_up_to_a_month(client: httpx.AsyncClient, result_ttl: Any):
    reply = await submit(client, result_ttl=result_ttl)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "result_ttl")


async def test_a_list_is_newest_first_and_says_whether_there_is_more(client: httpx.AsyncClient):
    ids = [(await submit(client)).json()["id"] for _ in range(3)]
    first = (await client.get("/v1/jobs?limit=2")).json()
    rest = (await client.get(f"/v1/jobs?limit=2&after={first['next']}")).json()
    assert (await client.get("/v1/jobs?limit=2&offset=2")).json() == rest
    assert first["object"] == "list"
    assert [job["id"] for job in first["data"]] == [ids[2], ids[1]]
    assert first["has_more"]
    assert [job["id"] for job in rest["data"]] == [ids[0]]
    assert (rest["has_more"], rest["next"]) == (False, None)
    assert all(job["result"] is None for job in first["data"])


async def test_a_list_can_be_filtered(client: httpx.AsyncClient):
    bulk = (await submit(client, lane="bulk")).json()["id"]
    await submit(client)

    async def found(query: str) -> list[str]:
        return [job["id"] for job in (await client.get(f"/v1/jobs?{query}")).json()["data"]]

    assert await found("lane=bulk") == [bulk]
    assert len(await found(f"status=finished&model={MODEL.id}")) == 2
    assert await found("status=queued") == []
    assert await found("model=other") == []


@pytest.mark.parametrize("query", ["after=a b", "limit=101", "limit=0", "offset=-1"])
async def test_a_page_out_of_bounds_is_refused(client: httpx.AsyncClient, query: str):
    reply = await client.get(f"/v1/jobs?{query}")
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == query.partition("=")[0]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("job_id", ["a:dependents", "a%22b", "a%0A", "%C3%BC", "a" * 65, "a%20b"])
async def test_what_cannot_be_an_id_never_reaches_the_queue(connect: Connect, method: str, job_id: str):
    class Untouched(MemoryQueue):
        async def view(self, job_id: str):
            raise AssertionError(job_id)

        cancel = delete = view

    reply = await connect(Untouched()).request(method, f"/v1/jobs/{job_id}")
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "job_not_found"


async def test_a_submitted_job_is_accepted_though_it_cannot_be_viewed(connect: Connect):
    class AwayAfterwards(MemoryQueue):
        async def view(self, job_id: str):
            raise QueueUnavailable

        async def wait(self, job_id: str, timeout_s: float):
            raise QueueUnavailable

    client = connect(AwayAfterwards(held=True))
    replies = [await submit(client, lane="bulk")]
    for prefer in ("respond-async", "respond-async, wait=5"):
        work = {"model": MODEL.id, "input": "a"}
        replies.append(await client.post("/v1/embeddings", json=work, headers={"Prefer": prefer}))
    for reply, lane in zip(replies, ("bulk", "default", "default"), strict=True):
        view = reply.json()
        assert reply.status_code == 202
        assert reply.headers["location"] == f"/v1/jobs/{view['id']}"
        seen = (view["status"], view["task"], view["model"], view["lane"])
        assert seen == ("queued", "embed", MODEL.id, lane)


@pytest.mark.parametrize("wait", ["nan", "inf", "1e999"])
async def test_a_strange_wait_is_no_server_error(client: httpx.AsyncClient, wait: str):
    job_id = (await submit(client)).json()["id"]
    assert (await client.get(f"/v1/jobs/{job_id}?wait={wait}")).status_code in (200, 400)
