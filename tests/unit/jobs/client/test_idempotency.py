"""An Idempotency-Key stands for one job: as long as that waits, runs and is kept, and for a while after."""

import fakeredis
import pytest

from jobs.client.queue import JobQueue
from jobs.errors import IdempotencyConflict, JobExpired
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.store import keys, record
from jobs.store.scripts import script
from tests.support.queue_jobs import QUEUE, RESULT, claim_all, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome, failed

KEY = keys.idempotency("k")


@pytest.fixture
def redis(server: fakeredis.FakeServer) -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=server)


@pytest.fixture
def keyed(server: fakeredis.FakeServer, worker_queue: WorkerQueue) -> JobQueue:
    return JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(idempotency_ttl_s=100))


def options(result_ttl_s: int = 1000) -> SubmitOptions:
    return SubmitOptions(idempotency_key="k", result_ttl_s=result_ttl_s)


def end(worker_queue: WorkerQueue, ttl_s: int) -> None:
    (claim,), _ = claim_all(worker_queue)
    worker_queue.finish([Outcome(claim, "finished", ttl_s, worker_queue.store(claim, RESULT))], 0.1)


MONTH_S = 31 * 86_400


async def test_the_key_of_a_job_that_waits_or_runs_lives_for_a_month(
    keyed: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    first = await keyed.submit(job(), options())
    assert redis.ttl(KEY) == MONTH_S
    claim_all(worker_queue)
    assert redis.ttl(KEY) == MONTH_S
    again = await keyed.submit(job(), options())
    assert (again.id, again.created) == (first.id, False)


@pytest.mark.parametrize(("result_ttl_s", "kept_s"), [(1000, 1000), (10, 100), (0, 100), (-1, -1)])
async def test_the_key_lives_as_long_as_the_result_and_its_own_time(
    keyed: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis, result_ttl_s: int, kept_s: int
):
    await keyed.submit(job(), options(result_ttl_s))
    end(worker_queue, result_ttl_s)
    assert redis.ttl(KEY) == kept_s


async def test_the_key_of_a_canceled_job_ends_too(keyed: JobQueue, redis: fakeredis.FakeRedis):
    ticket = await keyed.submit(job(), options(10))
    await keyed.cancel(ticket.id)
    assert redis.ttl(KEY) == 100


async def test_work_whose_result_is_gone_is_not_done_again_under_its_key(
    keyed: JobQueue, worker_queue: WorkerQueue
):
    await keyed.submit(job(), options(0))
    end(worker_queue, 0)
    with pytest.raises(IdempotencyConflict, match=r"its result is kept no longer\. Use another key"):
        await keyed.submit(job(), options())
    with pytest.raises(IdempotencyConflict, match="before with a different request"):
        await keyed.submit(job("other"), options())


def test_an_admit_that_is_repeated_after_its_jobs_end_does_not_do_it_again(
    worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    admit = redis.register_script(script("admit"))
    fields = record.encode(job(), options(0), "")
    args = [10, 10_000, 60, 1, "id1", QUEUE, "", KEY, "print", 1, len(fields), *fields]
    assert admit(args=args) == [[b"created", b"id1"]]
    end(worker_queue, 0)
    assert admit(args=args) == [[b"created", b"id1"]]
    assert not redis.exists(keys.queue(QUEUE), keys.job("id1"))


@pytest.mark.parametrize("ttl_s", [0, 1, 9, 59])
@pytest.mark.parametrize("end_as", ["finished", "failed", "canceled"])
async def test_an_admit_that_is_repeated_when_its_jobs_result_is_gone_does_not_do_it_again(
    queue: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis, ttl_s: int, end_as: str
):
    admit = redis.register_script(script("admit"))
    fields = record.encode(job(), SubmitOptions(result_ttl_s=ttl_s), "")
    args = [10, 10_000, 60, 1, "id1", QUEUE, "", "", "", 1, len(fields), *fields]
    admit(args=args)
    if end_as == "finished":
        end(worker_queue, ttl_s)
    elif end_as == "failed":
        worker_queue.finish([failed(claim_all(worker_queue)[0][0], JobExpired().failure())], 0.1)
    else:
        await queue.cancel("id1")
    redis.delete(keys.job("id1"))  # its time is over
    assert admit(args=args) == [[b"created", b"id1"]]
    assert not redis.exists(keys.job("id1"))
    assert claim_all(worker_queue) == ([], False)
    assert all(redis.ttl(key) == 60 for key in redis.keys("mlxq:ended:*"))


def test_a_job_whose_result_is_kept_long_needs_no_mark_of_its_end(
    worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    admit = redis.register_script(script("admit"))
    fields = record.encode(job(), options(60), "")
    admit(args=[10, 10_000, 60, 1, "id1", QUEUE, "", "", "", 1, len(fields), *fields])
    end(worker_queue, 60)
    assert not redis.keys("mlxq:ended:*")


async def test_the_key_of_a_job_that_somebody_deleted_before_its_end_is_free(
    keyed: JobQueue, redis: fakeredis.FakeRedis
):
    first = await keyed.submit(job(), options())
    redis.delete(keys.job(first.id))  # rq's job.delete()
    again = await keyed.submit(job(), options())
    assert again.created
    assert redis.hget(KEY, "job") == again.id.encode()
