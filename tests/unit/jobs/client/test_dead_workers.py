"""One lease a worker: how it is kept, how it ends, and what becomes of what the worker held."""

from typing import Any

import fakeredis
import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.store import keys
from tests.support.queue_jobs import QUEUE, RESULT, claim_all, crashes, finish, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import QueueCapacity

LEASE_S = 10


@pytest.fixture
def client(server: fakeredis.FakeServer) -> redis.Redis:
    return fakeredis.FakeRedis(server=server)


@pytest.fixture
def other(client: redis.Redis) -> WorkerQueue:
    return WorkerQueue(client, "other", lease_s=LEASE_S, max_crashes=3)


def now_s(client: redis.Redis) -> float:
    seconds, microseconds = client.time()  # pyright: ignore[reportGeneralTypeIssues]
    return seconds + microseconds / 1e6


def end_lease(client: redis.Redis, worker: str, *, at: float | None = None) -> None:
    client.zadd(keys.LEASES, {worker: now_s(client) - 0.001 if at is None else at}, xx=True)


def until_s(client: redis.Redis, worker: str) -> float | None:
    """For how long the worker's lease holds from now on."""
    until: float | None = client.zscore(keys.LEASES, worker)  # pyright: ignore[reportAssignmentType]
    return None if until is None else until - now_s(client)


def waiting(client: redis.Redis) -> list[str]:
    return [raw.decode() for raw in client.lrange(keys.queue(QUEUE), 0, -1)]  # pyright: ignore


def reclaim_all(queue: WorkerQueue) -> tuple[int, int]:
    requeued = failed = 0
    more = True
    while more:
        counts = queue.reclaim()
        requeued, failed, more = requeued + counts.requeued, failed + counts.failed, counts.more
    return requeued, failed


def look_again(client: redis.Redis, *, after_s: float) -> None:
    """As if leases had been looked after so long ago: in the future where it is negative."""
    client.hset(keys.CLOCK, "at", now_s(client) - after_s)


# Renewing


async def test_one_lease_stands_for_all_that_a_worker_holds(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    for _ in range(3):
        await queue.submit(job(), SubmitOptions())
    claim_all(worker_queue)
    assert client.zrange(keys.LEASES, 0, -1) == [b"w1"]
    end_lease(client, "w1")
    assert worker_queue.renew() == (True, frozenset(), 3)
    assert until_s(client, "w1") == pytest.approx(LEASE_S, abs=1)


def test_a_worker_without_a_lease_is_told_so_and_begins_one_by_claiming(
    worker_queue: WorkerQueue, client: redis.Redis
):
    assert not worker_queue.renew().has_lease
    assert worker_queue.claim([], max_jobs=1, suspect=False).begins_lease
    assert worker_queue.renew().has_lease
    assert not worker_queue.claim([], max_jobs=1, suspect=False).begins_lease
    worker_queue.leave()
    assert not client.exists(keys.LEASES)


async def test_a_worker_that_was_taken_for_dead_is_told_by_its_next_claim(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis
):
    await queue.submit(job(), SubmitOptions())
    claim_all(worker_queue)
    end_lease(client, "w1")
    assert reclaim_all(other) == (1, 0)
    taken = worker_queue.claim([QueueCapacity(QUEUE, 100, 9)], max_jobs=9)
    assert taken.begins_lease
    assert len(taken.claims) == 1  # and this one is its own
    assert worker_queue.renew().has_lease


async def test_a_claim_whose_reply_was_lost_says_again_that_it_began_a_lease(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    await queue.submit(job(), SubmitOptions())
    capacities = [QueueCapacity(QUEUE, 100, 9)]
    monkeypatch.setattr("workers.queue.client._new_prefix", lambda: worker_queue._prefix)
    first = worker_queue.claim(capacities, max_jobs=9, suspect=False)
    assert first.begins_lease
    assert worker_queue.claim(capacities, max_jobs=9, suspect=False)[:1] == first[:1]
    assert worker_queue.claim(capacities, max_jobs=9, suspect=False).begins_lease


async def test_a_canceled_jobs_worker_is_told_until_it_says_that_it_knows(
    queue: JobQueue, worker_queue: WorkerQueue
):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    await queue.cancel(ticket.id)
    assert worker_queue.renew().dropped == {claim.member}
    assert worker_queue.renew().dropped == set()
    assert finish(worker_queue, claim) == ({claim.member}, [])


# The end of a lease


async def test_a_dead_workers_jobs_go_back_to_the_front_in_their_order(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis
):
    roomy = JobQueue(
        fakeredis.FakeAsyncRedis(server=client.connection_pool.connection_kwargs["server"]), Settings()
    )
    ids = [(await roomy.submit(job(str(n)), SubmitOptions())).id for n in range(601)]
    while worker_queue.claim([QueueCapacity(QUEUE, 1 << 30, 200)], max_jobs=200, suspect=False).claims:
        if client.llen(keys.queue(QUEUE)) == 1:
            break
    end_lease(client, "w1")

    assert other.reclaim() == (200, 0, True)  # a slice
    assert reclaim_all(other) == (400, 0)

    assert waiting(client) == ids
    assert not client.keys("mlxq:lost*") + client.keys(keys.held("*"))  # pyright: ignore
    assert not client.exists(keys.LEASES)
    await roomy.aclose()


async def test_while_nobody_has_taken_its_job_a_worker_whose_lease_ended_may_finish_it(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis
):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    end_lease(client, "w1")
    assert finish(worker_queue, claim) == (set(), [])
    assert reclaim_all(other) == (0, 0)
    assert await queue.wait(ticket.id, 60) == RESULT


async def test_a_job_that_was_taken_back_cannot_be_finished_by_its_old_worker(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis
):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    end_lease(client, "w1")
    reclaim_all(other)
    assert finish(worker_queue, claim) == ({claim.member}, [])
    assert waiting(client) == [ticket.id]


@pytest.mark.parametrize("broken", [{"mlxq_crashes": "many"}, {"failure_ttl": "for ever"}])
async def test_a_broken_field_does_not_keep_a_dead_workers_jobs(
    queue: JobQueue,
    worker_queue: WorkerQueue,
    other: WorkerQueue,
    client: redis.Redis,
    broken: dict[Any, Any],
):
    tickets = [await queue.submit(job(), SubmitOptions()) for _ in range(3)]
    claim_all(worker_queue)
    client.hset(keys.job(tickets[1].id), mapping=broken)
    end_lease(client, "w1")
    assert reclaim_all(other) == (3, 0)
    assert waiting(client) == [ticket.id for ticket in tickets]


async def test_a_record_that_is_gone_leaves_no_trace_of_its_execution(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis
):
    ticket = await queue.submit(job(), SubmitOptions())
    claim_all(worker_queue)
    client.delete(keys.job(ticket.id))
    end_lease(client, "w1")
    assert reclaim_all(other) == (0, 0)
    assert not client.exists(keys.registry("started", QUEUE), keys.held("w1"))


async def test_what_a_worker_holds_without_knowing_goes_back_unharmed(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer, client: redis.Redis
):
    ids = [(await queue.submit(job(str(n)), SubmitOptions())).id for n in range(3)]
    claims, _ = claim_all(worker_queue)
    assert worker_queue.held() == [claim.member for claim in claims]
    assert worker_queue.reclaim_unknown(worker_queue.held()[:2]) == 2
    assert waiting(client) == ids[:2]
    assert crashes(server, *claims) == [None, None, None]
    assert worker_queue.renew().held == 1


async def test_what_a_worker_holds_when_it_leaves_goes_back_at_once_and_is_hurt_by_no_crash(
    queue: JobQueue,
    worker_queue: WorkerQueue,
    other: WorkerQueue,
    server: fakeredis.FakeServer,
    client: redis.Redis,
):
    ids = [(await queue.submit(job(str(n)), SubmitOptions())).id for n in range(3)]
    claims, _ = claim_all(worker_queue)
    worker_queue.leave()
    worker_queue.leave()  # its reply was lost
    assert reclaim_all(other) == (3, 0)
    assert waiting(client) == ids
    assert crashes(server, *claims) == [None, None, None]
    assert finish(worker_queue, claims[0]) == ({claims[0].member}, [])
    assert not client.exists(keys.LEASES, keys.held("w1"))


async def test_a_worker_that_left_and_one_that_died_are_told_apart(
    queue: JobQueue,
    worker_queue: WorkerQueue,
    other: WorkerQueue,
    server: fakeredis.FakeServer,
    client: redis.Redis,
):
    await queue.submit(job("left"), SubmitOptions())
    left, _ = claim_all(worker_queue)
    await queue.submit(job("died"), SubmitOptions())
    died, _ = claim_all(other)
    worker_queue.leave()
    assert other.reclaim_own() == (2, 0)
    assert crashes(server, *left, *died) == [None, b"1"]


async def test_what_a_worker_holds_that_ends_out_of_order_was_in_a_crash(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, server: fakeredis.FakeServer
):
    await queue.submit(job(), SubmitOptions())
    claims, _ = claim_all(worker_queue)
    worker_queue.leave(in_order=False)
    assert reclaim_all(other) == (1, 0)
    assert crashes(server, *claims) == [b"1"]


# Pauses and clocks


async def held_by_w1(queue: JobQueue, worker_queue: WorkerQueue) -> None:
    await queue.submit(job(), SubmitOptions())
    claim_all(worker_queue)
    worker_queue.renew()


@pytest.mark.parametrize("gap_s", [LEASE_S * 0.6, LEASE_S * 5, 86_400])
async def test_after_a_pause_nobodys_lease_ends_for_a_whole_one(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis, gap_s: float
):
    await held_by_w1(queue, worker_queue)
    end_lease(client, "w1")
    look_again(client, after_s=gap_s)
    assert reclaim_all(other) == (0, 0)
    assert reclaim_all(other) == (0, 0)  # nor by the next who looks
    grace = float(client.hget(keys.CLOCK, "grace_until"))  # pyright: ignore
    assert grace - now_s(client) == pytest.approx(LEASE_S, abs=1)
    client.hset(keys.CLOCK, "grace_until", now_s(client))
    assert reclaim_all(other) == (1, 0)


async def test_a_pause_that_a_renewal_notices_counts_too(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis
):
    await held_by_w1(queue, worker_queue)
    end_lease(client, "w1")
    look_again(client, after_s=LEASE_S)
    other.renew()
    assert reclaim_all(other) == (0, 0)


async def test_a_gap_that_renewals_always_leave_is_no_pause(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis
):
    await held_by_w1(queue, worker_queue)
    end_lease(client, "w1")
    look_again(client, after_s=LEASE_S / 4 + 1)
    assert reclaim_all(other) == (1, 0)


async def test_when_the_clock_goes_back_what_is_left_of_each_lease_stays_the_same(
    queue: JobQueue, worker_queue: WorkerQueue, other: WorkerQueue, client: redis.Redis
):
    await held_by_w1(queue, worker_queue)
    other.claim([], max_jobs=1, suspect=False)
    look_again(client, after_s=-3600)  # and so are the leases: set by the clock as it was
    end_lease(client, "w1", at=now_s(client) + 3600 + 4)
    end_lease(client, "other", at=now_s(client) + 3600 + 7)
    assert reclaim_all(other) == (0, 0)
    assert until_s(client, "w1") == pytest.approx(4, abs=1)
    assert until_s(client, "other") == pytest.approx(7, abs=1)
    assert float(client.hget(keys.CLOCK, "grace_until")) - now_s(client) == pytest.approx(LEASE_S, abs=1)  # pyright: ignore


# A supervisor that knows of a death


async def test_a_supervisor_ends_its_dead_childs_lease_at_once_also_after_a_pause(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    await held_by_w1(queue, worker_queue)
    look_again(client, after_s=LEASE_S * 5)  # it was the only one, and has been dead for a while
    assert worker_queue.reclaim_own() == (1, 0)
    assert len(waiting(client)) == 1


async def test_freeing_a_dead_workers_jobs_touches_no_one_elses(
    queue: JobQueue,
    worker_queue: WorkerQueue,
    other: WorkerQueue,
    server: fakeredis.FakeServer,
    client: redis.Redis,
):
    ids = [(await queue.submit(job(str(n)), SubmitOptions())).id for n in range(3)]
    claims, _ = claim_all(worker_queue)
    theirs = await queue.submit(job("theirs"), SubmitOptions())
    (claimed,), _ = claim_all(other)
    end_lease(client, "other")  # as after a time without Redis: its owner renews it first

    assert worker_queue.reclaim_own() == (3, 0)
    assert worker_queue.reclaim_own() == (0, 0)

    assert waiting(client) == ids
    assert crashes(server, *claims) == [b"1"] * 3
    assert (await queue.view(theirs.id)).status == "started"
    assert finish(worker_queue, claims[0]) == ({claims[0].member}, [])
    assert finish(other, claimed) == (set(), [])
    assert not client.exists(keys.worker("w1"))
