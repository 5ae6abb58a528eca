"""Redis loses the end of its file between the word that a job has ended and the look at what came of it."""

import fakeredis
import pytest

from jobs.client.queue import JobQueue
from jobs.errors import InternalError, QueueUnavailable, UnknownJob
from jobs.job import SubmitOptions
from jobs.store import keys
from tests.support.queue_jobs import claim_all, finish, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import failed


@pytest.fixture
def redis(server: fakeredis.FakeServer) -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=server)


async def ended(queue: JobQueue, worker_queue: WorkerQueue, status: str) -> str:
    ticket = await queue.submit(job(), SubmitOptions(result_ttl_s=60))
    if status == "canceled":
        assert await queue.cancel(ticket.id)
        return ticket.id
    (claim,), _ = claim_all(worker_queue)
    if status == "finished":
        finish(worker_queue, claim)
    else:
        worker_queue.finish([failed(claim, InternalError().failure())], 0)
    return ticket.id


def roll_back(redis: fakeredis.FakeRedis, job_id: str) -> None:
    """As it was before its end."""
    redis.hset(keys.job(job_id), "status", "queued")
    redis.delete(keys.results(job_id))


@pytest.mark.parametrize("status", ["finished", "failed", "canceled"])
async def test_a_wait_is_not_told_that_a_job_is_unknown_or_canceled_which_runs_again(
    queue: JobQueue,
    worker_queue: WorkerQueue,
    redis: fakeredis.FakeRedis,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
):
    job_id = await ended(queue, worker_queue, status)
    look = queue._inspector.view

    async def look_later(job_id: str):
        roll_back(redis, job_id)
        return await look(job_id)

    monkeypatch.setattr(queue._inspector, "view", look_later)
    with pytest.raises(QueueUnavailable, match="lost the end"):
        await queue.wait(job_id, 60)


async def test_a_result_that_is_gone_with_its_jobs_end_is_none_yet(
    queue: JobQueue,
    worker_queue: WorkerQueue,
    redis: fakeredis.FakeRedis,
    monkeypatch: pytest.MonkeyPatch,
):
    job_id = await ended(queue, worker_queue, "finished")

    async def load_later(stored: bytes) -> None:
        roll_back(redis, job_id)
        raise UnknownJob

    monkeypatch.setattr(queue, "_load", load_later)
    found = await queue.view(job_id)
    assert (found.status, found.result) == ("queued", None)


async def test_a_result_that_is_gone_while_its_job_stays_ended_is_unknown(
    queue: JobQueue, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
):
    job_id = await ended(queue, worker_queue, "finished")

    async def load_nothing(stored: bytes) -> None:
        raise UnknownJob

    monkeypatch.setattr(queue, "_load", load_nothing)
    with pytest.raises(UnknownJob):
        await queue.view(job_id)
    with pytest.raises(UnknownJob):
        await queue.wait(job_id, 60)
