"""The log of a stream never gets a gap, whatever Redis loses."""

import fakeredis
import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.generate import GenerateJob, Piece, Pieces, Prompt
from jobs.job import SubmitOptions
from jobs.store import keys, record
from tests.support.queue_jobs import INFO, RESULT, WRITER, announce
from workers.queue.client import MAX_EMITTED, BrokenStream, WorkerQueue
from workers.queue.execution import Claim, Emitted, Outcome, QueueCapacity

NOTHING = Emitted(frozenset(), {})
BODIES = [record.pack(Pieces(1, 0, (Piece(text=str(n)),))) for n in range(1, 2 * MAX_EMITTED + 10)]


@pytest.fixture
def client(server: fakeredis.FakeServer) -> redis.Redis:
    return fakeredis.FakeRedis(server=server)


@pytest.fixture
async def claim(queue: JobQueue, worker_queue: WorkerQueue) -> Claim:
    announce(worker_queue, INFO, WRITER)
    await queue.submit(GenerateJob(model="w", prompt=Prompt("a"), stream=True), SubmitOptions())
    return again(worker_queue)


def again(worker_queue: WorkerQueue) -> Claim:
    (claim,) = worker_queue.claim([QueueCapacity("generate:w:default", 10_000, 9)], max_jobs=9).claims
    return claim


def numbers(client: redis.Redis, claim: Claim) -> list[int]:
    rows: list[tuple[bytes, object]] = client.xrange(keys.stream(claim.id))  # pyright: ignore
    return [int(number.partition(b"-")[0]) for number, _ in rows]


def emit(worker_queue: WorkerQueue, claim: Claim, *events: int) -> Emitted:
    return worker_queue.emit([(claim, number, BODIES[number - 1]) for number in events])


def lose(client: redis.Redis, claim: Claim, left: int) -> None:
    """As when Redis comes back with the file that it had a moment ago."""
    rows: list[tuple[str, dict[str, bytes]]] = client.xrange(keys.stream(claim.id), max=left)  # pyright: ignore
    client.delete(keys.stream(claim.id))
    for number, fields in rows:
        client.xadd(keys.stream(claim.id), fields, id=number)  # pyright: ignore[reportArgumentType]


def test_an_event_behind_a_gap_is_not_added_and_the_last_number_is_told(
    worker_queue: WorkerQueue, client: redis.Redis, claim: Claim
):
    assert emit(worker_queue, claim, 1, 2, 3, 4) == NOTHING
    lose(client, claim, 2)
    assert emit(worker_queue, claim, 5, 6) == (frozenset(), {claim.member: 2})
    assert numbers(client, claim) == [1, 2]
    worker_queue.emit_after(claim, 2, BODIES[:6])
    assert numbers(client, claim) == [1, 2, 3, 4, 5, 6]
    assert worker_queue.published(claim) == BODIES[:6]


def test_an_emit_whose_reply_was_lost_adds_nothing_twice(
    worker_queue: WorkerQueue, client: redis.Redis, claim: Claim
):
    for _ in range(2):
        assert emit(worker_queue, claim, 1, 2) == NOTHING
    assert numbers(client, claim) == [1, 2]


def test_a_log_that_others_cut_is_told_again_from_its_beginning(
    worker_queue: WorkerQueue, client: redis.Redis, claim: Claim
):
    emit(worker_queue, claim, 1, 2, 3)
    client.xdel(keys.stream(claim.id), "3-0")
    assert emit(worker_queue, claim, 3).behind == {claim.member: 0}
    worker_queue.emit_after(claim, 0, BODIES[:3])
    assert numbers(client, claim) == [1, 2, 3]


def test_a_key_that_is_no_log_gives_way(worker_queue: WorkerQueue, client: redis.Redis, claim: Claim):
    client.set(keys.stream(claim.id), "no stream")
    assert emit(worker_queue, claim, 1) == NOTHING
    assert numbers(client, claim) == [1]


def test_the_next_execution_goes_on_from_the_last_number(
    worker_queue: WorkerQueue, client: redis.Redis, claim: Claim
):
    emit(worker_queue, claim, 1, 2, 3, 4)
    lose(client, claim, 3)
    worker_queue.release([claim])
    assert again(worker_queue).published == 3


def test_a_log_with_a_gap_is_refused(worker_queue: WorkerQueue, client: redis.Redis, claim: Claim):
    emit(worker_queue, claim, 1, 2, 3)
    client.xdel(keys.stream(claim.id), "2-0")
    with pytest.raises(BrokenStream):
        worker_queue.published(claim)


@pytest.mark.parametrize("left", [0, 1, 2, 7])
async def test_a_stream_that_lost_its_end_is_whole_when_its_job_is_finished(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, claim: Claim, left: int
):
    worker_queue.emit_after(claim, 0, BODIES)
    lose(client, claim, left)
    outcome = Outcome(claim, "finished", 60, worker_queue.store(claim, RESULT), events=BODIES)
    assert worker_queue.finish([outcome], 0.1) == (set(), [])
    assert worker_queue.finish([outcome], 0.1) == (set(), [])
    assert numbers(client, claim) == list(range(1, len(BODIES) + 1))
    assert (await queue.view(claim.id)).status == "finished"
    assert len([event async for event in queue.stream(claim.id)]) == len(BODIES)


async def test_a_canceled_stream_takes_no_more_events(
    queue: JobQueue, worker_queue: WorkerQueue, client: redis.Redis, claim: Claim
):
    emit(worker_queue, claim, 1)
    await queue.cancel(claim.id)
    assert emit(worker_queue, claim, 2) == (frozenset({claim.member}), {})
    assert numbers(client, claim) == [1]
