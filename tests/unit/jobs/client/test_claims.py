"""What one CLAIM does at most, and what wrong records do to it."""

from typing import Any

import fakeredis
import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.content import ImagePart, TextPart
from jobs.embed import EmbedJob
from jobs.errors import JobExpired
from jobs.generate import Chat, GenerateJob, Message
from jobs.job import Lane, SubmitOptions
from jobs.settings import Settings
from jobs.store import keys, record
from tests.support.queue_jobs import QUEUE, claim_all, finish, job
from workers.queue.client import WorkerQueue
from workers.queue.execution import Claims, QueueCapacity


@pytest.fixture
def client(server: fakeredis.FakeServer) -> redis.Redis:
    return fakeredis.FakeRedis(server=server)


@pytest.fixture
async def roomy(server: fakeredis.FakeServer, worker_queue: WorkerQueue):
    """A queue that takes more than a few jobs."""
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings())
    yield queue
    await queue.aclose()


def claim(worker_queue: WorkerQueue) -> Claims:
    return worker_queue.claim([QueueCapacity(QUEUE, 1 << 30, 5000)], max_jobs=256, suspect=False)


@pytest.mark.parametrize(
    "broken",
    [
        {"mlxq_attempts": "x"},
        {"mlxq_expires_at": "x"},
        {"mlxq_crashes": "x"},
        {"mlxq_cost": "x"},
        {"mlxq_execution": "x"},
        {"worker_name": "x", "mlxq_execution": ""},
        {"timeout": "x", "result_ttl": "x", "retries_left": "x", "retry_intervals": "x"},
        {"mlxq_expires_at": "1", "failure_ttl": "1.5"},
        {"mlxq_expires_at": "1", "failure_ttl": "x"},
        {"mlxq_expires_at": "1", "failure_ttl": "1e300"},
    ],
    ids=str,
)
async def test_a_broken_field_neither_loses_its_job_nor_orphans_those_claimed_before_it(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, broken: dict[Any, Any]
):
    tickets = [await queue.submit(job(str(n)), SubmitOptions()) for n in range(3)]
    client.hset(keys.job(tickets[1].id), mapping=broken)
    claims, _ = claim_all(worker_queue)
    expected = [ticket.id for ticket in tickets]
    if "failure_ttl" in broken:
        with pytest.raises(JobExpired):
            await queue.wait(expected.pop(1), 60)
    assert [each.id for each in claims] == expected
    assert client.zrange(keys.held("w1"), 0, -1) == [each.member.encode() for each in claims]
    for each in claims:
        assert finish(worker_queue, each) == (set(), [])


@pytest.mark.parametrize(
    "key",
    [
        keys.wake(QUEUE),
        keys.registry("started", QUEUE),
        keys.registry("failed", QUEUE),
        keys.LEASES,
        keys.CLOCK,
        keys.held("w1"),
        "mlxq:claimed:w1",
    ],
)
async def test_a_key_of_ours_that_holds_something_else_gives_way(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, key: str
):
    ticket = await queue.submit(job(), SubmitOptions())
    client.zadd("something else", {"a": 1}) if key == keys.wake(QUEUE) else client.set("something else", "a")
    client.rename("something else", key)
    (claimed,), _ = claim_all(worker_queue)
    assert claimed.id == ticket.id
    assert worker_queue.renew().has_lease
    assert finish(worker_queue, claimed) == (set(), [])


async def test_a_queue_that_is_no_list_does_not_keep_the_others_jobs(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    ticket = await queue.submit(job(), SubmitOptions())
    client.set(keys.queue("embed:m:interactive"), "no list")
    capacities = [QueueCapacity(name, 100, 9) for name in ("embed:m:interactive", QUEUE)]
    (claimed,) = worker_queue.claim(capacities, max_jobs=9, suspect=False).claims
    assert claimed.id == ticket.id


async def test_one_claim_fails_a_bounded_number_of_expired_jobs_and_says_that_there_are_more(
    roomy: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    tickets = [await roomy.submit(job(str(n)), SubmitOptions()) for n in range(300)]
    for ticket in tickets[:-1]:
        client.hset(keys.job(ticket.id), "mlxq_expires_at", 1)
    taken, calls = claim(worker_queue), 1
    assert taken.claims == []
    assert taken.is_cut_short
    assert client.llen(keys.queue(QUEUE)) > 200  # pyright: ignore[reportOperatorIssue]
    while taken.is_cut_short:
        taken, calls = claim(worker_queue), calls + 1
    assert [each.id for each in taken.claims] == [tickets[-1].id]
    assert calls < 10


async def test_one_claim_skips_a_bounded_number_of_ids_without_a_record(
    worker_queue: WorkerQueue, client: redis.Redis
):
    client.rpush(keys.queue(QUEUE), *range(5000))
    assert claim(worker_queue) == Claims([], False, frozenset({QUEUE}), True, True)
    assert 4000 < client.llen(keys.queue(QUEUE)) < 5000  # pyright: ignore[reportOperatorIssue]


async def test_one_claim_moves_a_bounded_number_of_bytes(roomy: JobQueue, worker_queue: WorkerQueue):
    for _ in range(40):
        await roomy.submit(EmbedJob(model="m", inputs=("x" * 60_000,)), SubmitOptions())
    taken = claim(worker_queue)
    claimed = list(taken.claims)
    assert sum(len(each.data or b"") for each in taken.claims) <= 1 << 20
    assert taken.is_cut_short
    while taken.is_cut_short:
        taken = claim(worker_queue)
        claimed += taken.claims
    assert len(claimed) == 40


async def test_a_job_of_a_later_version_stays_at_its_queues_head_and_nothing_behind_it_is_taken(
    roomy: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    tickets = [await roomy.submit(job(str(n)), SubmitOptions()) for n in range(3)]
    other = await roomy.submit(job(), SubmitOptions(lane=Lane.BULK))
    client.hset(keys.job(tickets[1].id), "mlxq_version", record.VERSION + 1)
    capacities = [QueueCapacity(name, 100, 9) for name in (QUEUE, "embed:m:bulk")]

    first = worker_queue.claim(capacities, max_jobs=9)
    client.delete(keys.wake(QUEUE))
    again = worker_queue.claim(capacities, max_jobs=9)

    assert [each.id for each in first.claims] == [tickets[0].id, other.id]
    for taken in (first, again):
        assert taken.newer == {QUEUE: record.VERSION + 1}
        assert QUEUE not in taken.backlog  # or the worker would ask again at once
    assert again.claims == []
    assert not client.exists(keys.wake(QUEUE))

    monkeypatch.setattr(record, "VERSION", record.VERSION + 1)
    later = WorkerQueue(client, "later", lease_s=10, max_crashes=3)
    assert [each.id for each in later.claim(capacities, max_jobs=9).claims] == [
        each.id for each in tickets[1:]
    ]


async def test_no_model_is_loaded_for_a_job_of_a_later_version(
    roomy: JobQueue, worker_queue: WorkerQueue, client: redis.Redis
):
    ticket = await roomy.submit(job(), SubmitOptions())
    client.hset(keys.job(ticket.id), "mlxq_version", record.VERSION + 1)
    taken = worker_queue.claim([QueueCapacity(QUEUE, 100, 0)], max_jobs=9)
    assert (taken.backlog, taken.newer) == (frozenset(), {QUEUE: record.VERSION + 1})


def test_a_chats_pictures_count():
    def chat(*parts: Any) -> GenerateJob:
        return GenerateJob(model="m", prompt=Chat((Message("user", parts),)))

    text, image = TextPart("what is it?"), ImagePart(b"jpeg")
    assert record.cost(chat(text, image, image)) == record.cost(chat(text)) + 2 * record.IMAGE_TOKENS


async def test_each_of_several_workers_takes_its_part_of_what_waits_and_runs(
    roomy: JobQueue, worker_queue: WorkerQueue
):
    for n in range(10):
        await roomy.submit(job(f"{n}"), SubmitOptions())
    capacity = QueueCapacity(QUEUE, 100, 100, in_hand=0, workers=4)
    first = worker_queue.claim([capacity], max_jobs=100)
    assert len(first.claims) == 3
    assert first.left_to_others == {QUEUE}
    again = worker_queue.claim([capacity._replace(in_hand=3)], max_jobs=100)
    assert (again.claims, again.left_to_others, again.backlog) == ([], {QUEUE}, {QUEUE})
    alone = worker_queue.claim([capacity._replace(in_hand=3, workers=1)], max_jobs=100)
    assert len(alone.claims) == 7
    assert not alone.left_to_others
