"""Outcomes that a script cannot write at once: nothing of a job is given up before they are written."""

import asyncio
from typing import Any

import fakeredis
import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.job import SubmitOptions
from jobs.store import keys
from jobs.store.scripts import script
from tests.support.queue_jobs import QUEUE, RESULT, claim_all, finish, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import Claim, Outcome, QueueCapacity

OTHER = "embed:m:bulk"


@pytest.fixture
def client(server: fakeredis.FakeServer) -> redis.Redis:
    return fakeredis.FakeRedis(server=server)


async def claimed(queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, **fields: Any) -> Claim:
    """A job that runs, whose record has these fields."""
    ticket = await queue.submit(job(), SubmitOptions(result_ttl_s=600))
    if fields:
        client.hset(keys.job(ticket.id), mapping={**fields})
    (claim,), _ = claim_all(worker_queue)
    return claim


async def test_a_job_ends_though_the_list_of_followups_holds_something_else(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    claim = await claimed(queue, worker_queue, client, webhooks="[]")
    client.set(keys.FOLLOWUPS, "no sorted set")
    assert finish(worker_queue, claim) == (set(), [claim.id])
    assert (await queue.view(claim.id)).result == RESULT
    assert client.zscore(keys.FOLLOWUPS, claim.id)


@pytest.mark.parametrize("kind", ["retry", "release", "finished"])
async def test_counters_that_are_no_integers_hold_no_job_up(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, kind: Any
):
    broken = {"retries_left": "1.5", "repeats_left": "1.5", "repeat_intervals": "[0]"}
    claim = await claimed(queue, worker_queue, client, **broken)
    client.hset(keys.job(claim.id), "mlxq_attempts", "1.5")
    worker_queue.finish([Outcome(claim, kind, 0, worker_queue.store(claim, RESULT))], 0.1)
    assert client.lrange(keys.queue(QUEUE), 0, -1) == [claim.id.encode()]
    assert (await queue.view(claim.id)).status == "queued"
    assert not client.exists(keys.held("w1"))


@pytest.mark.parametrize("kind", ["retry", "release"])
async def test_a_job_goes_back_though_its_queue_is_no_list(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, kind: Any
):
    claim = await claimed(queue, worker_queue, client)
    client.set(keys.queue(QUEUE), "no list")
    client.set("rq:scheduled:" + QUEUE, "no sorted set")
    worker_queue.finish([Outcome(claim, kind, 0)], 0.1)
    assert client.lrange(keys.queue(QUEUE), 0, -1) == [claim.id.encode()]


async def test_a_job_ends_though_the_workers_counters_and_its_lifetime_make_no_sense(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    claim = await claimed(queue, worker_queue, client, result_ttl="1e300")
    client.set(keys.WORKER_PREFIX + "w1", "no hash")
    outcome = Outcome(claim, "finished", claim.result_ttl_s, worker_queue.store(claim, RESULT))
    assert worker_queue.finish([outcome], 0.1) == (set(), [])
    assert (await queue.view(claim.id)).result == RESULT


async def test_an_outcome_that_redis_refuses_in_its_middle_is_written_by_the_next_try(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    claim = await claimed(queue, worker_queue, client)
    whole = worker_queue._scripts["finish"]
    broken = script("finish").replace("tell_channels(mail, record", "redis.call('NO SUCH COMMAND', record")
    worker_queue._scripts["finish"] = client.register_script(broken)
    with pytest.raises(redis.ResponseError):
        finish(worker_queue, claim)
    assert client.zrange(keys.held("w1"), 0, -1) == [claim.member.encode()]
    worker_queue._scripts["finish"] = whole
    assert finish(worker_queue, claim) == (set(), [])
    assert client.xlen(keys.results(claim.id)) == 1
    assert not client.exists(keys.held("w1"))


async def test_outcomes_before_one_that_redis_refuses_are_written_whole(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    first = await claimed(queue, worker_queue, client)
    second = await claimed(queue, worker_queue, client)
    stored = worker_queue.store(first, RESULT)
    broken = script("finish").replace(
        "tell_channels(mail, record",
        f"redis.call(id == '{second.id}' and 'NO SUCH COMMAND' or 'EXISTS', id)" + " --",
    )
    worker_queue._scripts["finish"] = client.register_script(broken)
    with pytest.raises(redis.ResponseError):
        worker_queue.finish([Outcome(claim, "finished", 600, stored) for claim in (first, second)], 0.1)
    assert client.zrange(keys.registry("finished", QUEUE), 0, -1) == [first.id.encode()]
    assert client.zrange(keys.held("w1"), 0, -1) == [second.member.encode()]
    assert (await queue.views(status="finished", limit=10)).jobs[0].id == first.id


async def test_callers_hear_of_outcomes_before_one_that_redis_refuses(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    first = await queue.submit(job(), SubmitOptions(result_ttl_s=0, awaited=True))
    waiting = asyncio.create_task(queue.wait(first.id, 5))
    second = await queue.submit(job(), SubmitOptions(result_ttl_s=0))
    claims, _ = claim_all(worker_queue)
    broken = script("finish").replace(
        "if verdict == 'finished' and lacks_parts",
        f"if id == '{second.id}' then redis.call('NO SUCH COMMAND') end\n"
        "if verdict == 'finished' and lacks_parts",
    )
    worker_queue._scripts["finish"] = client.register_script(broken)
    with pytest.raises(redis.ResponseError):
        worker_queue.finish(
            [Outcome(each, "finished", 0, worker_queue.store(each, RESULT)) for each in claims], 0.1
        )
    assert await waiting == RESULT


async def test_a_queue_that_is_no_list_leaves_no_job_of_the_others_without_a_holder(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    tickets = [await queue.submit(job(), SubmitOptions()) for _ in range(3)]
    client.set(keys.queue(OTHER), "no list")
    capacities = [QueueCapacity(name, 10_000, 100, 0, 2) for name in (QUEUE, OTHER)]
    claimed = [each.id for _ in range(3) for each in worker_queue.claim(capacities, max_jobs=100).claims]
    assert claimed == [each.id for each in tickets]


async def test_jobs_that_were_taken_before_an_error_are_held(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    ticket = await queue.submit(job(), SubmitOptions())
    whole = worker_queue._scripts["claim"]
    broken = script("claim").replace(
        "if had_turn and is_idle and #claimed == 0",
        "redis.call('NO SUCH COMMAND')\n  if had_turn and is_idle and #claimed == 0",
    )
    worker_queue._scripts["claim"] = client.register_script(broken)
    with pytest.raises(redis.ResponseError):
        claim_all(worker_queue)
    assert client.zcard(keys.held("w1")) == 1
    worker_queue._scripts["claim"] = whole
    (claim,), _ = claim_all(worker_queue)
    assert claim.id == ticket.id


@pytest.mark.parametrize("is_ours", [True, False])
async def test_executions_of_deleted_records_do_not_count_as_running_for_ever(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, is_ours: bool
):
    """is_ours: RECLAIM finds their queue; otherwise its name was lost, and it is swept once somebody uses it again."""
    claim = await claimed(queue, worker_queue, client)
    client.delete(keys.job(claim.id))
    name = keys.QUEUES
    if not is_ours:
        client.delete(name)
    worker_queue.reclaim_hung([claim])
    if not is_ours:
        await queue.submit(job(), SubmitOptions())
        worker_queue.sweep()
    assert client.zrange(keys.registry("wip", QUEUE), 0, -1) == []


async def test_a_job_that_rq_has_run_again_is_listed_once(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    claim = await claimed(queue, worker_queue, client)
    client.zrem(keys.jobs(QUEUE), f"o{claim.id}")  # as it is listed that failed, until a sweep comes by
    client.zadd(keys.jobs(QUEUE), {f"x{claim.id}": 0})
    assert finish(worker_queue, claim) == (set(), [])
    assert client.zrange(keys.jobs(QUEUE), 0, -1) == [f"f{claim.id}".encode()]


async def test_a_job_that_is_twice_in_its_queue_is_claimed_once(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    ticket = await queue.submit(job(), SubmitOptions())
    client.rpush(keys.queue(QUEUE), ticket.id)
    claims, _ = claim_all(worker_queue)
    assert [claim.id for claim in claims] == [ticket.id]
    assert not client.exists(keys.queue(QUEUE))


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_started_job_that_nobody_holds_goes_back_to_its_queue(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, is_named: bool
):
    claim = await claimed(queue, worker_queue, client)
    worker_queue.sweep()
    assert (await queue.view(claim.id)).status == "started"
    client.zrem(keys.held("w1"), claim.member)
    if not is_named:
        client.hdel(keys.job(claim.id), "mlxq_execution")
    worker_queue.sweep()
    assert client.lrange(keys.queue(QUEUE), 0, -1) == [claim.id.encode()]
    assert (await queue.view(claim.id)).status == "queued"
    worker_queue.sweep()
    (again,), _ = claim_all(worker_queue)
    assert finish(worker_queue, claim) == ({claim.member}, [])
    assert finish(worker_queue, again) == (set(), [])


async def test_a_started_job_that_a_dead_worker_held_is_left_to_reclaim(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    claim = await claimed(queue, worker_queue, client)
    client.rename(keys.held("w1"), "mlxq:lost:w1")  # as RECLAIM does it before its first slice
    client.rpush("mlxq:lost", "mlxq:lost:w1")
    worker_queue.sweep()
    assert (await queue.view(claim.id)).status == "started"


@pytest.mark.parametrize("parts", ["1e12", "-1", "nan", "x"])
@pytest.mark.parametrize("end", ["finished", "canceled"])
async def test_a_number_of_parts_that_makes_no_sense_holds_nobody_up(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, parts: str, end: str
):
    claim = await claimed(queue, worker_queue, client, mlxq_parts=parts)
    worker_queue.data(claim)
    if end == "canceled":
        await queue.cancel(claim.id)
    else:
        assert finish(worker_queue, claim) == (set(), [])
    assert (await queue.view(claim.id)).status == end
