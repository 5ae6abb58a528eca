"""Processes that die, freeze and come back under a running service."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.stack import Stack
from tests.support.waiting import PATIENCE_S, wait_until

LEASE_S = 2
LONG_WORK = [f"{n} " + "a long walk along the river and over the hills " * 8 for n in range(60)]


@pytest.fixture(scope="module")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), lease_s=LEASE_S) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """In good order: every test must leave it so."""
    wait_until(lambda: shared_stack.status("/ready") == 200)
    return shared_stack


def test_a_killed_worker_makes_the_service_not_ready_until_it_is_back_and_loses_no_job(stack: Stack):
    job_id = stack.embed(LONG_WORK, prefer="respond-async").json()["id"]
    wait_until(lambda: stack.job(job_id)["status"] == "started")
    stack.worker.process.send_signal(signal.SIGSTOP)  # the supervisor would start another one at once
    stack.kill_worker()

    wait_until(lambda: stack.status("/ready") == 503)
    assert stack.status("/health") == 200
    assert stack.http.get(f"{stack.url}/v1/models").json()["data"]

    stack.worker.process.send_signal(signal.SIGCONT)
    wait_until(lambda: stack.status("/ready") == 200)
    done = stack.job(job_id, wait=60)
    assert (done["status"], done["attempts"]) == ("finished", 2)
    assert len(done["result"]["data"]) == len(LONG_WORK)


def test_a_frozen_worker_makes_the_service_not_ready_until_it_goes_on(stack: Stack):
    worker = stack.worker_process
    worker.suspend()
    try:
        wait_until(lambda: stack.status("/ready") == 503)
        job_id = stack.embed("asked while frozen", prefer="respond-async").json()["id"]
    finally:
        worker.resume()
    wait_until(lambda: stack.status("/ready") == 200)
    assert stack.job(job_id, wait=PATIENCE_S)["status"] == "finished"
    assert stack.worker_process.pid == worker.pid


def test_after_a_crash_of_redis_everything_goes_on_by_itself(stack: Stack):
    stack.redis.config_set("appendfsync", "always")  # until it crashes; with everysec it may forget a second
    with stack.suspended():
        ids = [stack.embed(f"kept {n}", prefer="respond-async").json()["id"] for n in range(5)]
        stack.server.kill()
        assert stack.status("/health") == 200
        assert stack.status("/ready") == 503
        refused = stack.embed("meanwhile")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_unavailable")
        assert int(refused.headers["retry-after"]) >= 1

        stack.server.start()
        wait_until(lambda: stack.status("/ready") == 200)
        assert {stack.job(job_id)["status"] for job_id in ids} == {"queued"}

    for job_id in ids:
        done = stack.job(job_id, wait=PATIENCE_S)
        assert (done["status"], done["attempts"]) == ("finished", 1)
    afterwards = stack.embed("afterwards")
    assert afterwards.status_code == 200, afterwards.text


def test_a_caller_who_waits_while_redis_crashes_still_gets_the_answer(stack: Stack):
    stack.redis.config_set("appendfsync", "always")
    with ThreadPoolExecutor() as pool:
        with stack.suspended():
            waiting = pool.submit(stack.embed, "patience")
            wait_until(lambda: stack.newest_job("queued"))
            stack.server.kill()
            stack.server.start()
        assert waiting.result(PATIENCE_S).status_code == 200


def test_a_stopped_worker_says_goodbye_in_good_order(stack: Stack):
    worker = stack.run("worker", "--model", "all-MiniLM-L6-v2")
    worker.wait_for("Listening on")
    assert worker.stop() == 0
    assert "terminate called" not in worker.said
    assert stack.status("/ready") == 200
