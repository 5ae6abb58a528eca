"""What becomes of claimed jobs: fences, retries, records that are broken."""

import time

import fakeredis
import pytest

from jobs.client.queue import JobQueue
from jobs.errors import (
    JobExpired,
)
from jobs.job import SubmitOptions
from jobs.store import keys, record
from jobs.store.scripts import script
from tests.support.queue_jobs import QUEUE, RESULT, claim_all, crashes, finish, job
from tests.support.waiting import until
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome


async def test_a_claim_whose_reply_was_lost_gives_the_same_claims_again(
    queue: JobQueue, server: fakeredis.FakeServer
):
    ticket = await queue.submit(job(), SubmitOptions())
    claim = fakeredis.FakeRedis(server=server).register_script(script("claim"))
    args = ["w1", record.timestamp(), 10, 5, "prefix", "fresh", b"", b"", 3, record.VERSION, 0, 30]
    args += [QUEUE, 100, 100, 0, 1]
    first, again = claim(args=args), claim(args=args)
    assert first[:4] == again[:4]
    assert first[1][0][0].decode() == ticket.id


async def test_a_finish_whose_reply_was_lost_is_not_stale_when_repeated(
    queue: JobQueue, worker_queue: WorkerQueue
):
    await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    assert finish(worker_queue, claim) == (set(), [])
    assert finish(worker_queue, claim) == (set(), [])


async def test_finishing_without_the_lease_changes_nothing(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    (stale,), _ = claim_all(worker_queue)
    worker_queue.reclaim_hung([stale])
    assert finish(worker_queue, stale) == ({stale.member}, [])
    (claimed,), _ = claim_all(worker_queue)
    assert finish(worker_queue, stale) == ({stale.member}, [])
    assert finish(worker_queue, claimed) == (set(), [])
    assert await queue.wait(ticket.id, 60) == RESULT


async def test_a_stale_finish_does_not_unfence_the_new_holder(queue: JobQueue, worker_queue: WorkerQueue):
    await queue.submit(job(), SubmitOptions())
    (stale,), _ = claim_all(worker_queue)
    worker_queue.reclaim_hung([stale])
    (claimed,), _ = claim_all(worker_queue)
    finish(worker_queue, stale)
    assert worker_queue.reclaim_hung([claimed]) == (1, 0)  # found, not left behind as started


async def test_a_record_that_broke_meanwhile_does_not_spoil_its_neighbours_results(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    tickets = [await queue.submit(job(), SubmitOptions()) for _ in range(3)]
    claims, _ = claim_all(worker_queue)
    fakeredis.FakeRedis(server=server).set(keys.job(tickets[1].id), "not a hash any more")
    outcomes = [Outcome(claim, "finished", 60, worker_queue.store(claim, RESULT)) for claim in claims]
    assert worker_queue.finish(outcomes, 0.1) == ({outcomes[1].claim.member}, [])
    for ticket in (tickets[0], tickets[2]):
        assert await queue.wait(ticket.id, 60) == RESULT


async def test_a_job_given_back_is_no_suspect_and_counts_no_attempt(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    worker_queue.finish([Outcome(claim, "release")], 0)
    assert (await queue.view(ticket.id)).attempts == 0
    (again,), _ = claim_all(worker_queue)
    assert crashes(server, again) == [None]


async def test_a_job_past_its_ttl_is_failed_instead_of_claimed(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions(ttl_s=0))
    submitted_at = time.time()
    await until(lambda: time.time() > submitted_at)
    assert claim_all(worker_queue) == ([], False)
    with pytest.raises(JobExpired):
        await queue.wait(ticket.id, 60)


async def test_a_retry_waits_for_its_delay(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions(retries=1))
    (claim,), _ = claim_all(worker_queue)
    assert (claim.retries_left, claim.retry_delays_s) == (1, (1.0,))
    worker_queue.finish([Outcome(claim, "retry", 1.5)], 0)
    assert (await queue.view(ticket.id)).status == "scheduled"
    assert worker_queue.promote([QUEUE]) == 0
    await until(lambda: worker_queue.promote([QUEUE]) == 1)
    assert claim_all(worker_queue)[0][0].retries_left == 0


@pytest.mark.parametrize(
    "broken", ["not a hash", {"status": "ready_to_enqueue", "data": "?"}, {"status": "queued"}]
)
async def test_a_broken_record_does_not_stop_the_claims_behind_it(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer, broken: str | dict[str, str]
):
    redis = fakeredis.FakeRedis(server=server)
    if isinstance(broken, str):
        redis.set("rq:job:broken", broken)
    else:
        redis.hset("rq:job:broken", items=[each for pair in broken.items() for each in pair])
    redis.rpush(keys.queue(QUEUE), "broken")
    ticket = await queue.submit(job(), SubmitOptions())
    claims, _ = claim_all(worker_queue)
    assert claims[-1].id == ticket.id
