"""Jobs that were in workers when they died: who runs them, beside whom, and what that costs the others."""

from collections.abc import Callable

import fakeredis
import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.errors import WorkerLost
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.store import keys, record
from tests.support.queue_jobs import QUEUE, RESULT, claim_all, finish, job
from workers.queue.client import SUSPECTS_AT_ONCE, WorkerQueue
from workers.queue.execution import Claim, Claims, Outcome, QueueCapacity

CAPACITIES = [QueueCapacity(QUEUE, 1 << 30, 100)]
Workers = Callable[[str], WorkerQueue]


@pytest.fixture
def client(server: fakeredis.FakeServer) -> redis.Redis:
    return fakeredis.FakeRedis(server=server)


@pytest.fixture
def worker(client: redis.Redis) -> Workers:
    return lambda name: WorkerQueue(client, name, lease_s=10, max_crashes=4)


@pytest.fixture
async def queue(server: fakeredis.FakeServer, worker_queue: WorkerQueue):
    """The worker that it announces claims nothing here."""
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings())
    await queue.start()
    yield queue
    await queue.aclose()


def fresh(worker: WorkerQueue, *, is_idle: bool = False, patience_s: float = 30) -> Claims:
    return worker.claim(CAPACITIES, max_jobs=100, is_idle=is_idle, patience_s=patience_s)


def suspects(worker: WorkerQueue, capacities: list[QueueCapacity] = CAPACITIES) -> list[Claim]:
    return worker.claim(capacities, max_jobs=SUSPECTS_AT_ONCE, suspect=True).claims


async def hurt(queue: JobQueue, worker: Workers, times: int, texts: tuple[str, ...] = ("s",)) -> list[str]:
    """Jobs that were in so many workers when they died, the last times as suspects."""
    ids = [(await queue.submit(job(text), SubmitOptions())).id for text in texts]
    for time in range(times):
        dying = worker(f"dying {time}")
        if time < 2:
            taken = fresh(dying).claims
        else:
            assert fresh(dying, is_idle=True).has_turn
            taken = suspects(dying)
        assert len(taken) == len(ids)
        dying.reclaim_own()
    return ids


def names(claims: list[Claim]) -> list[str]:
    return [claim.id for claim in claims]


async def test_a_job_that_was_hurt_once_goes_back_to_the_front_and_runs_beside_others(
    queue: JobQueue, worker: Workers
):
    first, second = await hurt(queue, worker, 1, ("first", "second"))
    third = await queue.submit(job("third"), SubmitOptions())
    taken = fresh(worker("b"))
    assert names(taken.claims) == [first, second, third.id]
    assert not taken.has_turn


async def test_while_suspects_wait_workers_with_jobs_go_on_claiming(queue: JobQueue, worker: Workers):
    await hurt(queue, worker, 2, ("s1", "s2"))
    ticket = await queue.submit(job("fresh"), SubmitOptions())
    taken = fresh(worker("busy"))
    assert names(taken.claims) == [ticket.id]
    assert not taken.has_turn


async def test_a_worker_without_jobs_is_given_the_turn_and_runs_a_group_of_suspects(
    queue: JobQueue, worker: Workers
):
    ids = await hurt(queue, worker, 2, tuple(f"s{n}" for n in range(SUSPECTS_AT_ONCE + 1)))
    await queue.submit(job("fresh"), SubmitOptions())
    idle = worker("idle")
    taken = fresh(idle, is_idle=True)
    assert (taken.claims, taken.has_turn) == ([], True)
    claims = suspects(idle)
    assert names(claims) == ids[:SUSPECTS_AT_ONCE]  # nothing fresh is among them
    for claim in claims:
        assert finish(idle, claim) == (set(), [])
    assert await queue.wait(ids[0], 60) == RESULT


async def test_a_group_of_suspects_is_no_larger_than_what_the_worker_has_room_for(
    queue: JobQueue, worker: Workers
):
    first, second, _ = await hurt(queue, worker, 2, ("s1", "s2", "s3"))
    idle = worker("idle")
    assert fresh(idle, is_idle=True).has_turn
    assert names(suspects(idle, [QueueCapacity(QUEUE, 1 << 30, 2)])) == [first, second]


async def test_a_job_that_was_hurt_three_times_runs_alone(queue: JobQueue, worker: Workers):
    ids = await hurt(queue, worker, 3, ("s1", "s2"))
    idle = worker("idle")
    done: list[str] = []
    while fresh(idle, is_idle=True).has_turn:  # nothing is fresh
        (claim,) = suspects(idle)
        finish(idle, claim)
        done.append(claim.id)
    assert sorted(done) == sorted(ids)


async def test_jobs_that_were_hurt_twice_go_before_those_that_run_alone_and_not_beside_them(
    queue: JobQueue, worker: Workers
):
    alone = await hurt(queue, worker, 3, ("a1", "a2"))
    beside = await hurt(queue, worker, 2, ("b1", "b2"))
    idle = worker("idle")
    groups: list[list[str]] = []
    while fresh(idle, is_idle=True).has_turn:
        claims = suspects(idle)
        groups.append(names(claims))
        for claim in claims:
            finish(idle, claim)
    assert groups[0] == beside
    assert sorted(groups[1:]) == sorted([each] for each in alone)


async def test_only_one_worker_at_a_time_has_the_turn_of_a_model(queue: JobQueue, worker: Workers):
    await hurt(queue, worker, 3, ("s1", "s2"))
    one, other = worker("one"), worker("other")
    assert fresh(one, is_idle=True).has_turn
    assert not fresh(other, is_idle=True).has_turn
    assert suspects(other) == []
    (claim,) = suspects(one)
    assert not fresh(other, is_idle=True).has_turn  # while it runs
    finish(one, claim)
    assert not fresh(one).has_turn  # it gives the turn back
    assert fresh(other, is_idle=True).has_turn


async def test_a_worker_takes_no_turn_for_a_suspect_of_a_later_version_and_leaves_it_to_one_that_reads_it(
    queue: JobQueue, worker: Workers, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    (suspected,) = await hurt(queue, worker, 2)
    client.hset(keys.job(suspected), "mlxq_version", record.VERSION + 1)
    old, new = worker("old"), worker("new")
    for _ in range(3):
        assert not fresh(old, is_idle=True).has_turn
    monkeypatch.setattr(record, "VERSION", record.VERSION + 1)
    assert fresh(new, is_idle=True).has_turn
    assert names(suspects(new)) == [suspected]


async def test_behind_a_suspect_of_a_later_version_fresh_jobs_go_on(
    queue: JobQueue, worker: Workers, client: redis.Redis
):
    (suspected,) = await hurt(queue, worker, 2)
    client.hset(keys.job(suspected), "mlxq_version", record.VERSION + 1)
    tickets = [await queue.submit(job(text), SubmitOptions()) for text in ("a", "b")]
    one_at_a_time = [QueueCapacity(QUEUE, 1 << 30, 1)]
    old = worker("old")
    taken = old.claim(one_at_a_time, max_jobs=1, is_idle=True)
    assert names(taken.claims) == [tickets[0].id]
    assert taken.backlog == {QUEUE}


async def test_the_turn_of_a_dead_worker_is_free(queue: JobQueue, worker: Workers, client: redis.Redis):
    await hurt(queue, worker, 2)
    dead = worker("dead")
    assert fresh(dead, is_idle=True).has_turn
    suspects(dead)
    assert dead.reclaim_own() == (1, 0)
    idle = worker("idle")
    assert fresh(idle, is_idle=True).has_turn
    assert len(suspects(idle)) == 1
    assert client.hvals("mlxq:suspects_turns") == [b"idle"]


async def test_fresh_work_and_suspects_take_turns(queue: JobQueue, worker: Workers):
    await hurt(queue, worker, 3, ("s1", "s2"))
    ticket = await queue.submit(job("fresh"), SubmitOptions())
    idle = worker("idle")
    assert fresh(idle, is_idle=True).has_turn
    (claim,) = suspects(idle)
    finish(idle, claim)
    assert names(fresh(idle, is_idle=True).claims) == [ticket.id]


async def test_a_worker_that_always_has_jobs_is_given_the_turn_when_suspects_have_waited_for_long(
    queue: JobQueue, worker: Workers
):
    await hurt(queue, worker, 2)
    await queue.submit(job("fresh"), SubmitOptions())
    busy = worker("busy")
    taken = fresh(busy, patience_s=0)
    assert (taken.claims, taken.has_turn) == ([], True)


@pytest.mark.parametrize(("is_idle", "patience_s"), [(True, 30), (False, 30)])
async def test_a_clock_that_was_set_back_does_not_keep_suspects_waiting(
    queue: JobQueue, worker: Workers, client: redis.Redis, is_idle: bool, patience_s: float
):
    (suspected,) = await hurt(queue, worker, 2)
    client.zincrby("mlxq:suspects", 86_400, QUEUE)  # put there a day before the clock was set
    one = worker("one")
    assert fresh(one, is_idle=is_idle, patience_s=patience_s).has_turn
    assert names(suspects(one)) == [suspected]


async def test_a_poisoned_job_is_failed_and_those_beside_it_are_hurt_three_times_at_most(
    queue: JobQueue, worker: Workers, client: redis.Redis
):
    poison, *innocent = await hurt(queue, worker, 2, ("poison", "i1", "i2", "i3"))
    done: set[str] = set()
    deaths = 2
    for round_ in range(20):
        each = worker(f"w{round_}")
        while fresh(each, is_idle=True).has_turn:
            claims = suspects(each)
            if poison in names(claims):
                each.reclaim_own()
                deaths += 1
                break
            for claim in claims:
                finish(each, claim)
            done.update(names(claims))
    assert done == set(innocent)
    assert deaths == 4
    with pytest.raises(WorkerLost):
        await queue.wait(poison, 60)
    assert [client.hget(keys.job(job_id), "mlxq_crashes") for job_id in innocent] == [b"3"] * 3
    assert not client.exists("mlxq:suspects", keys.queue(QUEUE))
    assert not client.keys("mlxq:suspects:*")


@pytest.mark.parametrize(("max_crashes", "beside"), [(1, 0), (2, 1), (3, 2), (4, 2), (9, 2)])
async def test_a_job_is_in_so_many_dying_workers_beside_others(
    queue: JobQueue, client: redis.Redis, max_crashes: int, beside: int
):
    """Only its own deaths fail it, unless one is enough."""
    await queue.submit(job(), SubmitOptions())
    for n in range(beside):
        each = WorkerQueue(client, f"w{n}", lease_s=10, max_crashes=max_crashes)
        assert len(fresh(each).claims) == 1
        assert each.reclaim_own() == (1, 0)
    last = WorkerQueue(client, "last", lease_s=10, max_crashes=max_crashes)
    assert len(fresh(last).claims) == (max_crashes == 1)
    assert fresh(last, is_idle=True).has_turn == (max_crashes > 1)


async def test_a_suspect_that_is_given_back_stays_one(queue: JobQueue, worker: Workers):
    (job_id,) = await hurt(queue, worker, 2)
    idle = worker("idle")
    fresh(idle, is_idle=True)
    (claim,) = suspects(idle)
    idle.finish([Outcome(claim, "release")], 0)
    other = worker("other")
    assert fresh(other).claims == []
    assert fresh(other).claims == []
    idle.leave()
    assert fresh(other, is_idle=True).has_turn
    assert names(suspects(other)) == [job_id]


async def test_a_canceled_suspect_is_not_run(queue: JobQueue, worker: Workers, client: redis.Redis):
    (job_id,) = await hurt(queue, worker, 2)
    assert await queue.cancel(job_id)
    idle = worker("idle")
    fresh(idle, is_idle=True)
    assert suspects(idle) == []
    assert not fresh(idle, is_idle=True).has_turn
    idle.leave()
    assert not client.keys("mlxq:suspects*")


async def test_suspects_count_as_queued(queue: JobQueue, worker: Workers):
    (job_id,) = await hurt(queue, worker, 2)
    assert [lane.queued for lane in (await queue.stats()).queues] == [1]
    assert (await queue.view(job_id)).status == "queued"


async def test_a_model_that_has_only_suspects_is_reported_to_be_loaded(queue: JobQueue, worker: Workers):
    await hurt(queue, worker, 2)
    without = [QueueCapacity(QUEUE, 1 << 30, 0)]
    taken = worker("without").claim(without, max_jobs=9, is_idle=True)
    assert (taken.has_turn, taken.backlog) == (False, {QUEUE})


async def test_a_job_that_killed_workers_again_and_again_is_failed(
    queue: JobQueue, worker_queue: WorkerQueue
):
    ticket = await queue.submit(job(), SubmitOptions())
    for expected in [(1, 0), (1, 0), (0, 1)]:
        claims, _ = claim_all(worker_queue, suspect=expected == (0, 1))
        assert worker_queue.reclaim_hung(claims) == expected
    with pytest.raises(WorkerLost):
        await queue.wait(ticket.id, 60)
