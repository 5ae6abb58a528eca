"""Lists of jobs: newest first, page by page, whatever else is in Redis."""

import time
from typing import Any

import fakeredis
import pytest
from redis.exceptions import ResponseError

from jobs.client import job_list
from jobs.client.queue import JobQueue
from jobs.errors import InvalidInput
from jobs.job import Lane, SubmitOptions
from jobs.settings import Settings
from jobs.store import keys, record
from tests.support.queue_jobs import QUEUE, claim_all, finish, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome, failed


@pytest.fixture
def redis(server: fakeredis.FakeServer) -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=server)


@pytest.fixture
def roomy(server: fakeredis.FakeServer, worker_queue: WorkerQueue) -> JobQueue:
    return JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings())


@pytest.fixture(autouse=True)
def ids_of_different_times(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(range(1 << 20))
    monkeypatch.setattr(record, "new_id", lambda: f"{0x19A00000000 + next(made):011x}" + "b" * 20)


async def submit(queue: JobQueue, count: int, lane: Lane = Lane.DEFAULT) -> list[str]:
    return [(await queue.submit(job(), SubmitOptions(lane=lane, retries=1))).id for _ in range(count)]


async def walk(queue: JobQueue, limit: int, **filters: Any) -> list[list[str]]:
    """All pages."""
    pages: list[list[str]] = []
    after: str | None = None
    while True:
        page = await queue.views(limit=limit, after=after, **filters)
        pages.append([view.id for view in page.jobs])
        if page.next is None:
            return pages
        after = page.next


def backwards(*ids: str) -> list[str]:
    return sorted(ids, reverse=True)


async def test_pages_have_every_job_once_and_the_newest_first(roomy: JobQueue, worker_queue: WorkerQueue):
    ids = await submit(roomy, 4)
    claims, _ = claim_all(worker_queue)
    finish(worker_queue, claims[0])
    worker_queue.finish([Outcome(claims[1], "retry", 60)], 0)
    worker_queue.finish([failed(claims[2], InvalidInput().failure())], 0)
    ids += await submit(roomy, 2, Lane.BULK) + await submit(roomy, 3)
    await roomy.cancel(ids[-1])
    newest = backwards(*ids)
    assert await walk(roomy, 4) == [newest[:4], newest[4:8], newest[8:]]
    assert (await walk(roomy, 3))[-1] == newest[6:]


@pytest.mark.parametrize(
    ("status", "numbers"),
    [
        ("finished", [0]),
        ("failed", [1]),
        ("canceled", [5]),
        ("scheduled", [2]),
        ("started", [3]),
        ("queued", [4]),
    ],
)
async def test_a_list_of_one_status(
    roomy: JobQueue, worker_queue: WorkerQueue, status: str, numbers: list[int]
):
    ids = await submit(roomy, 4)
    claims, _ = claim_all(worker_queue)
    finish(worker_queue, claims[0])
    worker_queue.finish([failed(claims[1], InvalidInput().failure()), Outcome(claims[2], "retry", 60)], 0)
    ids += await submit(roomy, 2)
    await roomy.cancel(ids[5])
    assert await walk(roomy, 10, status=status) == [[ids[number] for number in numbers]]


async def test_a_page_goes_on_after_a_job_that_is_gone(roomy: JobQueue, redis: fakeredis.FakeRedis):
    ids = await submit(roomy, 4)
    page = await roomy.views(limit=2)
    assert page.next == ids[2]
    redis.delete(keys.job(ids[2]))
    assert [view.id for view in (await roomy.views(limit=2, after=page.next)).jobs] == backwards(*ids[:2])


async def test_few_jobs_of_a_status_among_many_are_found_page_by_page(
    roomy: JobQueue, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(job_list, "AT_ONCE", 5)
    monkeypatch.setattr(job_list, "MOST_EXAMINED", 10)
    monkeypatch.setattr(job_list, "_MOST_REGISTERED", 0)  # so RQ's registry is not asked
    first = await submit(roomy, 1)
    claim_all(worker_queue)
    await submit(roomy, 24)
    assert await walk(roomy, 3, status="started") == [[], [], first]


async def test_a_small_offset_skips_jobs_and_a_deep_one_names_the_cursor(roomy: JobQueue):
    ids = await submit(roomy, 3)
    assert [view.id for view in (await roomy.views(limit=9, offset=2)).jobs] == ids[:1]
    assert [view.id for view in (await roomy.views(limit=9, offset=2, status="queued")).jobs] == ids[:1]
    assert (await roomy.views(limit=9, offset=4)).jobs == ()
    with pytest.raises(InvalidInput, match=r"skips 500 jobs at most. Go on from page to page with `after`"):
        await roomy.views(limit=1, offset=501)


async def test_an_offset_that_would_take_too_many_looks_names_the_cursor(
    roomy: JobQueue, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(job_list, "MOST_EXAMINED", 3)
    await submit(roomy, 1)
    for claim in claim_all(worker_queue)[0]:
        finish(worker_queue, claim)
    await submit(roomy, 4)
    monkeypatch.setattr(job_list, "_MOST_REGISTERED", -1)
    with pytest.raises(InvalidInput, match="`after`"):
        await roomy.views(limit=1, offset=2, status="started")


async def test_jobs_that_rq_enqueued_are_listed_after_all_others(
    roomy: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    for number in range(2):
        fields = record.encode(job(), SubmitOptions(), "")
        redis.hset(keys.job(f"rq-{number}"), mapping=dict(zip(fields[::2], fields[1::2], strict=True)))
        redis.rpush(keys.queue(QUEUE), f"rq-{number}")
        redis.sadd(keys.QUEUES, keys.queue(QUEUE))
    ids = await submit(roomy, 1)
    assert await walk(roomy, 2) == [[*ids, "rq-1"], ["rq-0"]]
    for claim in claim_all(worker_queue)[0]:
        finish(worker_queue, claim)
    assert await walk(roomy, 2, status="finished") == [[*ids, "rq-1"], ["rq-0"]]


async def test_a_sweep_takes_jobs_that_are_gone_from_the_list(
    roomy: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    ids = await submit(roomy, 3)
    redis.delete(keys.job(ids[1]))
    worker_queue.sweep()
    assert redis.zcard(keys.jobs(QUEUE)) == 2


async def test_sweeps_come_to_every_entry_of_the_list(
    roomy: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    redis.sadd(keys.QUEUES, keys.queue(QUEUE))
    gone = [f"{letter}{number:031x}" for letter in "cfox" for number in range(0, 1000, 37)]
    redis.zadd(keys.jobs(QUEUE), dict.fromkeys(gone, 0))
    for number in range(1000):
        member = f"{'cfox'[number % 4]}{number:031x}"
        if member not in gone:
            status = ("canceled", "finished", "queued", "failed")[number % 4]
            redis.hset(keys.job(f"{number:031x}"), "status", status)
            redis.zadd(keys.jobs(QUEUE), {member: 0})
    for _ in range(20):
        worker_queue.sweep()  # which looks at MAX_SWEPT entries of each kind of state, wherever the last one has ended
        if not redis.exists("mlxq:swept"):
            break
    assert not [member for member in gone if redis.zscore(keys.jobs(QUEUE), member) is not None]
    assert not redis.exists("mlxq:swept")  # it begins anew


async def test_a_job_whose_record_outlives_its_entry_in_the_registry_by_a_moment_leaves_the_list(
    roomy: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    (job_id,) = await submit(roomy, 1)
    finish(worker_queue, claim_all(worker_queue)[0][0])
    redis.zadd(
        keys.registry("finished", QUEUE), {job_id: time.time() - 0.01}
    )  # due, but the record is still there
    worker_queue.sweep()
    assert redis.zscore(keys.registry("finished", QUEUE), job_id) is not None


def test_a_sweep_that_has_used_its_time_goes_on_when_it_is_called_again(
    worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    queues = [f"embed:m{number}:bulk" for number in range(3)]
    for name in queues:
        redis.sadd(keys.QUEUES, keys.queue(name))
        redis.zadd(keys.registry("finished", name), {f"expired-{number}": 1 for number in range(120)})

    def left() -> int:
        return sum(redis.zcard(keys.registry("finished", name)) for name in queues)  # pyright: ignore

    found: list[tuple[bool, int]] = [(worker_queue.sweep(0.0), left()) for _ in range(9)]
    lefts = [310, 260, 240, 190, 140, 120, 70, 20, 0]
    assert found == [(left > 0, left) for left in lefts]


def test_a_sweep_that_redis_refuses_for_one_queue_goes_on_with_the_others(
    worker_queue: WorkerQueue, redis: fakeredis.FakeRedis, monkeypatch: pytest.MonkeyPatch
):
    queues = [f"embed:m{number}:bulk" for number in range(3)]
    for name in queues:
        redis.sadd(keys.QUEUES, keys.queue(name))
    swept: list[str] = []

    def refuse_first(args: list[str]) -> int:
        swept.append(args[0])
        if len(swept) == 1:
            raise ResponseError("WRONGTYPE")
        return 0

    monkeypatch.setitem(worker_queue._scripts, "sweep", refuse_first)
    with pytest.raises(ResponseError):
        worker_queue.sweep()
    worker_queue.sweep()
    assert sorted(swept) == queues


async def test_a_sweep_notices_what_rq_did_to_a_job(
    roomy: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    ids = await submit(roomy, 2)
    redis.hset(keys.job(ids[0]), "status", "canceled")
    assert await walk(roomy, 5, status="canceled") == [[]]
    worker_queue.sweep()
    assert await walk(roomy, 5, status="canceled") == [[ids[0]]]


async def test_a_sweep_drops_all_that_expired(
    roomy: JobQueue, worker_queue: WorkerQueue, redis: fakeredis.FakeRedis
):
    await submit(roomy, 250)
    for _ in range(3):
        for claim in claim_all(worker_queue)[0]:
            finish(worker_queue, claim)
    registry = keys.registry("finished", QUEUE)
    members: Any = redis.zrange(registry, 0, -1)
    redis.zadd(registry, dict.fromkeys(members, 1.0))
    redis.delete(*(keys.job(member.decode()) for member in members))
    worker_queue.sweep()
    assert not redis.exists(registry, keys.jobs(QUEUE))
