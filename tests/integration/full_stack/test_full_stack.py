"""Waiting, not waiting and giving up, over real processes: two API processes, a worker with MiniLM, Redis."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.stack import MODEL, Stack
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), lease_s=2, api_processes=2) as stack:
        yield stack


def test_respond_async_answers_with_a_job_that_can_be_followed(stack: Stack):
    with stack.suspended():
        reply = stack.embed("later is fine", prefer="respond-async")
        assert reply.status_code == 202
        assert reply.headers["preference-applied"] == "respond-async"
        queued = stack.http.get(stack.url + reply.headers["location"]).json()
        assert (queued["status"], queued["lane"], queued["position"]) == ("queued", "default", 0)

    done = stack.job(queued["id"], wait=60)
    assert (done["status"], done["attempts"], done["error"]) == ("finished", 1, None)
    assert done["result"]["data"] == stack.embed("later is fine").json()["data"]


def test_respond_async_with_a_wait_answers_with_the_result_if_it_is_there_in_time(stack: Stack):
    in_time = stack.embed("soon", prefer="respond-async, wait=20")
    assert (in_time.status_code, in_time.json()["object"]) == (200, "list")

    with stack.suspended():
        too_late = stack.embed("not soon", prefer="respond-async, wait=1")
        assert (too_late.status_code, too_late.json()["status"]) == (202, "queued")
        assert too_late.headers["preference-applied"] == "respond-async, wait=1"
    assert stack.job(too_late.json()["id"], wait=20)["status"] == "finished"


def test_a_wait_that_is_over_is_a_timeout_and_cancels_the_job(stack: Stack):
    with stack.suspended():
        asked_at = time.time()
        reply = stack.embed("impatient", prefer="wait=1")
        assert (reply.status_code, reply.json()["error"]["code"]) == (504, "timeout")
        canceled = stack.newest_job("canceled")
        assert canceled and canceled["created_at"] > asked_at
        assert canceled["lane"] == "interactive"
        assert stack.newest_job("queued") is None
    assert stack.job(canceled["id"])["attempts"] == 0


def test_a_long_poll_ends_when_the_job_does(stack: Stack):
    with ThreadPoolExecutor() as pool:
        with stack.suspended():
            job_id = stack.embed("polled", prefer="respond-async").json()["id"]
            started = time.monotonic()
            assert stack.job(job_id, wait=0.5)["status"] == "queued"
            assert 0.5 <= time.monotonic() - started < 5
            polled = pool.submit(stack.job, job_id, wait=30)
        assert polled.result(60)["status"] == "finished"


def test_a_caller_that_hangs_up_cancels_its_job(stack: Stack):
    with stack.suspended():
        address = urlsplit(stack.url)
        with socket.create_connection((address.hostname, address.port)) as caller:
            body = f'{{"model": "{MODEL}", "input": "goodbye"}}'
            caller.sendall(
                f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            wait_until(lambda: stack.newest_job("queued"))
            job = stack.newest_job("queued")
        assert job is not None
        wait_until(lambda: stack.job(job["id"])["status"] == "canceled")
        assert stack.newest_job("queued") is None


def test_a_deleted_job_is_never_run(stack: Stack):
    with stack.suspended():
        job_id = stack.embed("no, thanks", prefer="respond-async").json()["id"]
        deleted = stack.http.delete(f"{stack.url}/v1/jobs/{job_id}")
        assert (deleted.status_code, deleted.json()["status"]) == (200, "canceled")
    assert stack.embed("the next one").status_code == 200
    assert stack.job(job_id)["attempts"] == 0


def test_a_finished_job_is_deleted_with_all_that_was_kept_of_it(stack: Stack):
    job_id = stack.embed("done", prefer="respond-async").json()["id"]
    assert stack.job(job_id, wait=60)["status"] == "finished"
    reply = stack.http.delete(f"{stack.url}/v1/jobs/{job_id}")
    assert (reply.status_code, reply.json()["status"]) == (200, "finished")
    assert stack.http.get(f"{stack.url}/v1/jobs/{job_id}").status_code == 404


def test_a_key_names_one_job_whichever_api_process_is_asked(stack: Stack):
    def post(text: str) -> httpx.Response:
        return httpx.post(  # not stack.http: its open connection may lead to the other process
            f"{stack.url}/v1/embeddings",
            json={"model": MODEL, "input": text},
            headers={"Idempotency-Key": "import-42", "Prefer": "respond-async"},
            timeout=60,
        )

    ids: set[str] = set()
    first, second = [each for each in stack.api.children() if "--large-port" in each.cmdline()]
    for process in (first, second):
        process.suspend()
        try:
            ids.add(post("once").json()["id"])
        finally:
            process.resume()

    assert len(ids) == 1
    assert stack.job(ids.pop(), wait=20)["attempts"] == 1
    conflict = post("twice")
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "idempotency_key_reused")


def test_callers_that_come_together_each_get_their_own_answer(stack: Stack):
    texts = [f"caller number {n} has {n * 7 % 100} questions" for n in range(64)]
    expected = [item["embedding"] for item in stack.embed(texts).json()["data"]]
    together = threading.Barrier(32)

    def ask(number: int) -> list[float]:
        if number < 32:
            together.wait(60)
        return stack.embed(texts[number]).json()["data"][0]["embedding"]

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(64)))
    for answer, wanted in zip(answers, expected, strict=True):
        assert sum(a * b for a, b in zip(answer, wanted, strict=True)) > 0.9999


def test_the_stats_tell_what_waits_and_who_works(stack: Stack):
    with stack.suspended():
        ids = [stack.embed(f"waiting {n}", prefer="respond-async").json()["id"] for n in range(3)]
        stats = stack.http.get(f"{stack.url}/v1/queue/stats").json()
        assert (stats["queue_stats"]["running"], stats["queue_stats"]["queue_size"]) == (True, 3)
        assert [worker["models"] for worker in stats["workers"]] == [[MODEL]]
        assert [stack.job(job_id)["position"] for job_id in ids] == [0, 1, 2]
    for job_id in ids:
        assert stack.job(job_id, wait=60)["status"] == "finished"
