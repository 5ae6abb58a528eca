"""The queue client and the Lua scripts on fakeredis: no server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import fakeredis
import pytest
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs.client import watch
from jobs.client.inspector import Announcement, QueueInspector
from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import (
    IdempotencyConflict,
    InternalError,
    InvalidInput,
    JobCanceled,
    JobExpired,
    NoWorker,
    Overloaded,
    QueueUnavailable,
    ResultTimeout,
    UnknownJob,
    UnknownModel,
    WorkerLost,
)
from jobs.generate import GenerateJob, Piece, Pieces, Prompt
from jobs.job import Lane, SubmitOptions
from jobs.models import ModelInfo
from jobs.settings import Settings
from jobs.stats import WorkerStats
from jobs.store import keys, record
from jobs.store.scripts import script
from tests.support.waiting import turns, until, within
from workers.queue.claim import Claim, QueueCapacity
from workers.queue.client import WorkerQueue
from workers.queue.outcome import Outcome, failed

INFO = ModelInfo(id="m", task="embed", created=1, dimensions=1, max_tokens=512)
WRITER = ModelInfo(id="w", task="generate", created=1, dimensions=0, max_tokens=512)
RESULT = EmbedResult(dimensions=1, vectors=b"\0\0\x80\x3f", tokens=(3,))
QUEUE = "embed:m:default"


def job(text: str = "hello") -> EmbedJob:
    return EmbedJob(model="m", inputs=(text,))


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def worker_queue(server: fakeredis.FakeServer) -> WorkerQueue:
    redis = fakeredis.FakeRedis(server=server)
    redis.sadd(keys.WORKERS, keys.WORKER_PREFIX + "w1")  # as RQ registers it
    worker_queue = WorkerQueue(redis, "w1", lease_s=10, max_crashes=3)
    announce(worker_queue, INFO)
    return worker_queue


def announce(worker_queue: WorkerQueue, *models: ModelInfo) -> None:
    ids = tuple(info.id for info in models)
    stats = WorkerStats(name="w1", models=ids, seen_at=4e9, jobs_in_hand=0, drain_rate={QUEUE: 2.0})
    worker_queue.announce(stats, models)


@pytest.fixture
async def queue(server: fakeredis.FakeServer, worker_queue: WorkerQueue) -> AsyncIterator[JobQueue]:
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(queue_limit=3))
    await queue.start()
    yield queue
    await queue.aclose()


def claim_all(worker_queue: WorkerQueue, *, suspect: bool = False, lane: str = "default"):
    taken = worker_queue.claim([QueueCapacity(f"embed:m:{lane}", 10_000, 100)], max_jobs=100, suspect=suspect)
    return taken.claims, taken.suspect_waits


def crashes(server: fakeredis.FakeServer, *claims: Claim) -> list[object]:
    """How often workers died with each of these jobs, as their records say it."""
    redis = fakeredis.FakeRedis(server=server)
    return [redis.hget(keys.job(claim.id), "mlxq_crashes") for claim in claims]


def finish(worker_queue: WorkerQueue, claim) -> tuple[set[str], list[str]]:
    return worker_queue.finish([Outcome(claim, "finished", 60, worker_queue.store(claim, RESULT))], 0.1)


async def test_a_submitted_job_is_claimed_finished_and_its_result_awaited(
    queue: JobQueue, worker_queue: WorkerQueue
):
    ticket = await queue.submit(job(), SubmitOptions(awaited=True))
    (claim,), _ = claim_all(worker_queue)
    assert record.decode_job(claim.data) == job()
    assert finish(worker_queue, claim) == (set(), [])
    assert await queue.wait(ticket.id, 60) == RESULT


async def test_a_result_that_came_before_anyone_waited_is_found(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    finish(worker_queue, claim)
    assert await queue.wait(ticket.id, 60) == RESULT


async def test_two_waiters_get_the_same_result(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    waits = [asyncio.create_task(queue.wait(ticket.id, 60)) for _ in range(2)]
    (claim,), _ = claim_all(worker_queue)
    finish(worker_queue, claim)
    assert await asyncio.gather(*waits) == [RESULT, RESULT]


async def test_waiting_too_long_leaves_the_job_alone(queue: JobQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    with pytest.raises(ResultTimeout):
        await queue.wait(ticket.id, 0.05)
    assert (await queue.view(ticket.id)).status == "queued"


async def test_canceling_the_waiter_is_not_a_timeout(queue: JobQueue):
    ticket = await queue.submit(job(), SubmitOptions(awaited=True))
    waiting = asyncio.create_task(queue.wait(ticket.id, 60))
    await until(lambda: queue._watch._waits)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_full_queue_says_when_to_come_back(queue: JobQueue):
    for _ in range(3):
        await queue.submit(job(), SubmitOptions())
    with pytest.raises(Overloaded) as caught:
        await queue.submit(job(), SubmitOptions())
    assert caught.value.retry_after_s >= 1
    await queue.submit(job(), SubmitOptions(lane=Lane.INTERACTIVE))  # each lane has its own room


async def test_an_idempotency_key_returns_the_first_job(queue: JobQueue):
    options = SubmitOptions(idempotency_key="k")
    first = await queue.submit(job(), options)
    again = await queue.submit(job(), options)
    assert (first.created, again.created) == (True, False)
    assert first.id == again.id
    with pytest.raises(IdempotencyConflict):
        await queue.submit(job("something else"), options)


async def test_a_model_of_another_task_is_refused_with_its_endpoint(queue: JobQueue):
    for _ in range(2):  # looked up, and known from a moment ago
        with pytest.raises(
            InvalidInput, match=r"not for this task \(generate\) but for embed: send it to /v1/emb"
        ):
            await queue.submit(GenerateJob(model="m", prompt=Prompt("a")), SubmitOptions())


async def test_a_job_is_queued_under_its_models_id_whatever_name_it_has(
    queue: JobQueue, worker_queue: WorkerQueue
):
    await queue.submit(EmbedJob(model="M", inputs=("hello",)), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    assert record.decode_job(claim.data) == job()


async def test_an_unknown_model_is_refused_with_those_there_are(queue: JobQueue):
    with pytest.raises(UnknownModel, match="There is: m"):
        await queue.submit(EmbedJob(model="x", inputs=("hi",)), SubmitOptions())


async def test_without_any_worker_ever_the_answer_says_so(server: fakeredis.FakeServer):
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()), Settings())
    with pytest.raises(NoWorker):
        await queue.submit(job(), SubmitOptions())


async def test_a_queued_job_can_be_canceled_and_is_never_claimed(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    assert await queue.cancel(ticket.id)
    assert claim_all(worker_queue) == ([], False)
    assert (await queue.view(ticket.id)).status == "canceled"
    with pytest.raises(JobCanceled):
        await queue.wait(ticket.id, 1)


async def test_a_running_job_that_is_canceled_keeps_no_result(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    assert await queue.cancel(ticket.id)
    assert finish(worker_queue, claim) == ({ticket.id}, [])
    view = await queue.view(ticket.id)
    assert (view.status, view.result) == ("canceled", None)


async def test_a_finished_job_cannot_be_canceled(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    finish(worker_queue, claim)
    assert not await queue.cancel(ticket.id)
    with pytest.raises(UnknownJob):
        await queue.cancel("nobody")


async def test_views_are_newest_first_and_filtered(queue: JobQueue, worker_queue: WorkerQueue):
    first = await queue.submit(job(), SubmitOptions())
    await until(lambda: record.new_id()[:11] > first.id[:11])  # ids of one millisecond are in no order
    second = await queue.submit(job(), SubmitOptions(lane=Lane.BULK, metadata={"a": "b"}))
    ask = {"status": None, "model": None, "lane": None, "limit": 10, "offset": 0}
    assert [view.id for view in await queue.views(**ask)] == [second.id, first.id]
    assert [view.id for view in await queue.views(**{**ask, "lane": Lane.BULK})] == [second.id]
    assert [view.id for view in await queue.views(**{**ask, "offset": 1})] == [first.id]
    claim_all(worker_queue)
    assert [view.id for view in await queue.views(**{**ask, "status": "started"})] == [first.id]


async def test_the_view_shows_position_attempts_and_metadata(queue: JobQueue, worker_queue: WorkerQueue):
    await queue.submit(job(), SubmitOptions())
    ticket = await queue.submit(job(), SubmitOptions(metadata={"file": "a.txt"}))
    view = await queue.view(ticket.id)
    assert (view.position, view.attempts, view.metadata) == (1, 0, {"file": "a.txt"})
    claim_all(worker_queue)
    view = await queue.view(ticket.id)
    assert (view.status, view.position, view.attempts, view.worker) == ("started", None, 1, "w1")


def test_an_admit_whose_reply_was_lost_may_be_repeated(server: fakeredis.FakeServer):
    redis = fakeredis.FakeRedis(server=server)
    admit = redis.register_script(script("admit"))
    fields = record.encode(job(), SubmitOptions(), "")
    args = [10, 60, 1, "id1", QUEUE, "", "", "", len(fields), *fields]
    assert admit(args=args) == admit(args=args) == [[b"created", b"id1"]]
    assert redis.lrange(keys.queue(QUEUE), 0, -1) == [b"id1"]


async def test_a_claim_whose_reply_was_lost_gives_the_same_claims_again(
    queue: JobQueue, server: fakeredis.FakeServer
):
    ticket = await queue.submit(job(), SubmitOptions())
    claim = fakeredis.FakeRedis(server=server).register_script(script("claim"))
    args = ["w1", record.timestamp(), 10, 5, "prefix", "fresh", b"", b"", QUEUE, 100, 100]
    first, again = claim(args=args), claim(args=args)
    assert first == again
    assert first[1][0][0].decode() == ticket.id


async def test_a_finish_whose_reply_was_lost_is_not_stale_when_repeated(
    queue: JobQueue, worker_queue: WorkerQueue
):
    await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    assert finish(worker_queue, claim) == (set(), [])
    assert finish(worker_queue, claim) == (set(), [])


async def test_an_expired_lease_returns_the_job_to_the_front_as_a_suspect(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    first = await queue.submit(job("first"), SubmitOptions())
    second = await queue.submit(job("second"), SubmitOptions())
    claims, _ = claim_all(worker_queue)
    third = await queue.submit(job("third"), SubmitOptions())
    assert worker_queue.reclaim(hung=claims) == (2, 0)

    fresh, suspect_waits = claim_all(worker_queue)
    assert (fresh, suspect_waits) == ([], True)  # the front is kept for the suspects
    suspects, _ = claim_all(worker_queue, suspect=True)
    assert [claim.id for claim in suspects] == [first.id, second.id]
    assert crashes(server, *suspects) == [b"1", b"1"]
    assert [claim.id for claim in claim_all(worker_queue)[0]] == [third.id]


async def test_jobs_suspected_twice_run_alone(queue: JobQueue, worker_queue: WorkerQueue):
    for _ in range(2):
        await queue.submit(job(), SubmitOptions())
    worker_queue.reclaim(hung=claim_all(worker_queue)[0])
    worker_queue.reclaim(hung=claim_all(worker_queue, suspect=True)[0])
    assert len(claim_all(worker_queue, suspect=True)[0]) == 1


async def test_a_job_that_kills_its_worker_again_and_again_is_failed(
    queue: JobQueue, worker_queue: WorkerQueue
):
    ticket = await queue.submit(job(), SubmitOptions())
    worker_queue.reclaim(hung=claim_all(worker_queue)[0])
    for expected in [(1, 0), (0, 1)]:
        assert worker_queue.reclaim(hung=claim_all(worker_queue, suspect=True)[0]) == expected
    with pytest.raises(WorkerLost):
        await queue.wait(ticket.id, 1)


async def test_finishing_without_the_lease_changes_nothing(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    (stale,), _ = claim_all(worker_queue)
    worker_queue.reclaim(hung=[stale])
    assert finish(worker_queue, stale) == ({ticket.id}, [])
    (claimed,), _ = claim_all(worker_queue, suspect=True)
    assert finish(worker_queue, stale) == ({ticket.id}, [])
    assert finish(worker_queue, claimed) == (set(), [])
    assert await queue.wait(ticket.id, 1) == RESULT


async def test_a_stale_finish_does_not_unfence_the_new_holder(queue: JobQueue, worker_queue: WorkerQueue):
    await queue.submit(job(), SubmitOptions())
    (stale,), _ = claim_all(worker_queue)
    worker_queue.reclaim(hung=[stale])
    (claimed,), _ = claim_all(worker_queue, suspect=True)
    finish(worker_queue, stale)
    assert worker_queue.reclaim(hung=[claimed]) == (1, 0)  # found, not left behind as started


async def test_a_record_that_broke_meanwhile_does_not_spoil_its_neighbours_results(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    tickets = [await queue.submit(job(), SubmitOptions()) for _ in range(3)]
    claims, _ = claim_all(worker_queue)
    fakeredis.FakeRedis(server=server).set(keys.job(tickets[1].id), "not a hash any more")
    outcomes = [Outcome(claim, "finished", 60, worker_queue.store(claim, RESULT)) for claim in claims]
    assert worker_queue.finish(outcomes, 0.1) == ({tickets[1].id}, [])
    for ticket in (tickets[0], tickets[2]):
        assert await queue.wait(ticket.id, 1) == RESULT


async def test_renewing_tells_which_leases_are_gone(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    claims, _ = claim_all(worker_queue)
    assert worker_queue.renew(claims) == set()
    worker_queue.reclaim(hung=claims)
    assert worker_queue.renew(claims) == {claims[0].member}
    assert claims[0].id == ticket.id


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
        await queue.wait(ticket.id, 1)


async def test_a_retry_waits_for_its_delay(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions(retries=1))
    (claim,), _ = claim_all(worker_queue)
    assert (claim.retries_left, claim.retry_delays_s) == (1, (1.0,))
    worker_queue.finish([Outcome(claim, "retry", 0.05)], 0)
    assert (await queue.view(ticket.id)).status == "scheduled"
    assert worker_queue.promote([QUEUE]) == 0
    await until(lambda: worker_queue.promote([QUEUE]) == 1)
    assert claim_all(worker_queue)[0][0].retries_left == 0


async def test_a_failure_reaches_the_waiter_with_its_code(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions(awaited=True))
    (claim,), _ = claim_all(worker_queue)
    worker_queue.finish([failed(claim, UnknownModel("gone", param="model").failure())], 0)
    with pytest.raises(UnknownModel, match="gone"):
        await queue.wait(ticket.id, 1)
    view = await queue.view(ticket.id)
    assert view.error is not None
    assert view.error.param == "model"


async def test_a_large_result_travels_beside_the_script(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    ticket = await queue.submit(job(), SubmitOptions(awaited=True, result_ttl_s=60))
    (claim,), _ = claim_all(worker_queue)
    large = EmbedResult(dimensions=100_000, vectors=bytes(400_000), tokens=(1,))
    stored = worker_queue.store(claim, large)
    assert len(stored) < 200
    worker_queue.finish([Outcome(claim, "finished", 60, stored)], 0)
    assert await queue.wait(ticket.id, 1) == large
    assert fakeredis.FakeRedis(server=server).ttl(keys.blob(claim.execution)) > 0


async def test_a_queue_lists_its_work_and_its_workers(queue: JobQueue, worker_queue: WorkerQueue):
    await queue.submit(job(), SubmitOptions())
    stats = await queue.stats()
    (lane,) = stats.queues
    assert (lane.queue, lane.queued, lane.started, lane.drain_rate) == (QUEUE, 1, 0, 2.0)


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


async def test_a_waiter_is_told_that_its_job_has_vanished(queue: JobQueue, server: fakeredis.FakeServer):
    ticket = await queue.submit(job(), SubmitOptions(awaited=True))
    fakeredis.FakeRedis(server=server).flushall()
    with pytest.raises(UnknownJob):
        await queue.wait(ticket.id, 60)


class AwayRedis(fakeredis.FakeAsyncRedis):
    asked = 0

    async def hgetall(self, name: str):
        self.asked += 1
        await turns()
        raise RedisConnectionError


async def test_submits_at_the_same_time_share_one_failure_of_redis():
    redis = AwayRedis(server=fakeredis.FakeServer())
    queue = JobQueue(redis, Settings())
    submits = [queue.submit(job(), SubmitOptions()) for _ in range(16)]
    errors = await asyncio.gather(*submits, return_exceptions=True)
    assert {type(error) for error in errors} == {QueueUnavailable}
    assert redis.asked == 1
    with pytest.raises(QueueUnavailable):
        await queue.submit(job(), SubmitOptions())
    assert redis.asked == 2  # the next one asks for itself: Redis may be back


async def test_a_submit_that_is_given_up_before_its_turn_is_not_sent(
    queue: JobQueue, worker_queue: WorkerQueue
):
    admit_batcher = queue._admit_batcher
    async with asyncio.timeout(60):
        admit_batcher._flushing = asyncio.create_task(
            asyncio.sleep(60)
        )  # as while another ADMIT is on its way
        submits = [asyncio.create_task(queue.submit(job(text), SubmitOptions())) for text in ("a", "b")]
        await until(lambda: len(admit_batcher._pending) == 2)
        submits[0].cancel()
        await asyncio.wait(submits[:1])
        admit_batcher._flushing.cancel()
        await admit_batcher._flush()
        await submits[1]
    assert [record.decode_job(claim.data) for claim in claim_all(worker_queue)[0]] == [job("b")]


async def test_a_caller_that_gives_up_leaves_the_question_to_the_others(queue: JobQueue):
    first, second = (asyncio.create_task(queue.models()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == (INFO,)


async def test_views_read_no_inputs(queue: JobQueue, server: fakeredis.FakeServer, monkeypatch):
    ticket = await queue.submit(job(), SubmitOptions(metadata={"a": "b"}))
    read: list[tuple[object, ...]] = []
    execute = fakeredis.FakeAsyncRedis.execute_command

    async def spy(self, *args, **options):
        read.append(args)
        return await execute(self, *args, **options)

    monkeypatch.setattr(fakeredis.FakeAsyncRedis, "execute_command", spy)
    pipelined = Pipeline.execute

    async def spy_pipeline(self, *args, **options):
        read.extend(command for command, _ in self.command_stack)
        return await pipelined(self, *args, **options)

    monkeypatch.setattr(Pipeline, "execute", spy_pipeline)
    (listed,) = await queue.views(status=None, model=None, lane=None, limit=1, offset=0)
    assert listed.id == ticket.id
    assert (await queue.view(ticket.id)).metadata == listed.metadata == {"a": "b"}
    of_record = [args for args in read if keys.job(ticket.id) in args]
    assert [args[0] for args in of_record] == ["HMGET", "HMGET"]
    assert all("data" not in args for args in of_record)


@pytest.mark.parametrize("foreign", ["not a hash", {"status": "queued", "origin": "default", "data": "x"}])
async def test_what_is_no_job_of_ours_is_unknown_and_stays_as_it_is(
    queue: JobQueue, server: fakeredis.FakeServer, foreign: str | dict[str, str]
):
    redis = fakeredis.FakeRedis(server=server)
    if isinstance(foreign, str):
        redis.set("rq:job:theirs", foreign)
    else:
        redis.hset("rq:job:theirs", items=[each for pair in foreign.items() for each in pair])
    before = redis.dump("rq:job:theirs")
    for ask in (queue.view("theirs"), queue.wait("theirs", 5), queue.cancel("theirs")):
        with pytest.raises(UnknownJob):
            await ask
    assert redis.dump("rq:job:theirs") == before


async def test_a_key_of_another_type_is_not_an_absent_redis(queue: JobQueue, server: fakeredis.FakeServer):
    await queue.submit(job(), SubmitOptions())
    fakeredis.FakeRedis(server=server).set(keys.registry("finished", QUEUE), "not a sorted set")
    with pytest.raises(InternalError):
        await queue.stats()


async def test_a_model_whose_workers_are_long_gone_is_not_offered(server: fakeredis.FakeServer):
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings())
    announcement = Announcement(info=INFO, seen_at=time.time() - 700)
    fakeredis.FakeRedis(server=server).hset(keys.MODELS, "m", record.pack(announcement))
    assert await queue.models() == ()


async def test_unreadable_announcements_are_skipped_and_logged(
    queue: JobQueue, server: fakeredis.FakeServer, caplog: pytest.LogCaptureFixture
):
    redis = fakeredis.FakeRedis(server=server)
    redis.hset(keys.MODELS, "other", b"\xc1garbage")
    redis.sadd(keys.WORKERS, keys.WORKER_PREFIX + "w2", keys.WORKER_PREFIX + "w3")
    redis.set(keys.worker("w2"), b"\xc1garbage")
    redis.rpush(keys.worker("w3"), "not a string")
    assert await queue.models() == (INFO,)
    assert [worker.name for worker in (await queue.stats()).workers] == ["w1"]
    assert await queue.ready()
    assert {keys.MODELS, keys.worker("w2"), keys.worker("w3")} == {r.__dict__["key"] for r in caplog.records}


async def test_a_dead_workers_jobs_go_back_to_the_front_as_crashed_and_no_one_elses(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    redis = fakeredis.FakeRedis(server=server)
    other = WorkerQueue(redis, "w1x", lease_s=10, max_crashes=3)
    ids = [(await queue.submit(job(str(n)), SubmitOptions())).id for n in range(3)]
    first, *_ = claim_all(worker_queue)[0]
    theirs = await queue.submit(job("theirs"), SubmitOptions())
    (claimed,), _ = claim_all(other)

    assert worker_queue.reclaim_own() == (3, 0)
    assert worker_queue.reclaim_own() == (0, 0)

    assert sorted(raw.decode() for raw in redis.lrange(keys.queue(QUEUE), 0, -1)) == sorted(ids)  # pyright: ignore
    assert {redis.hget(keys.job(job_id), "mlxq_crashes") for job_id in ids} == {b"1"}
    assert (await queue.view(theirs.id)).status == "started"
    assert finish(worker_queue, first) == ({ids[0]}, [])  # its lease is gone
    assert finish(other, claimed) == (set(), [])
    assert not redis.exists(keys.worker("w1"))


async def test_freeing_a_dead_workers_jobs_leaves_leases_alone_that_ran_out_meanwhile(
    queue: JobQueue, worker_queue: WorkerQueue, server: fakeredis.FakeServer
):
    redis = fakeredis.FakeRedis(server=server)
    late = await queue.submit(job(), SubmitOptions())
    (claimed,), _ = claim_all(WorkerQueue(redis, "late", lease_s=10, max_crashes=3))
    redis.zadd(keys.LEASES, {claimed.member: 0})  # as after a time without Redis: its owner renews it first

    assert worker_queue.reclaim_own() == (0, 0)
    assert (await queue.view(late.id)).status == "started"


async def test_all_of_many_jobs_of_a_dead_worker_go_back(
    server: fakeredis.FakeServer, worker_queue: WorkerQueue
):
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings())
    ids = [(await queue.submit(job(str(n)), SubmitOptions())).id for n in range(600)]
    while worker_queue.claim([QueueCapacity(QUEUE, 1 << 30, 200)], max_jobs=200, suspect=False).claims:
        pass
    assert worker_queue.reclaim_own() == (600, 0)
    redis = fakeredis.FakeRedis(server=server)
    assert sorted(raw.decode() for raw in redis.lrange(keys.queue(QUEUE), 0, -1)) == sorted(ids)  # pyright: ignore
    await queue.aclose()


@pytest.fixture
async def hurried(
    server: fakeredis.FakeServer, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[JobQueue]:
    """A queue whose callers wait a moment for a worker, and whose only worker has just died."""
    monkeypatch.setattr(watch, "LOOK_S", 0.02)
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings(worker_wait_s=0.1, wait_s=60))
    await queue.start()
    announce(worker_queue, INFO, WRITER)
    worker_queue.withdraw()
    yield queue
    await queue.aclose()


async def test_who_waits_is_told_when_no_worker_has_been_there_for_a_while(hurried: JobQueue):
    ticket = await hurried.submit(job(), SubmitOptions(awaited=True))
    with pytest.raises(NoWorker, match="No worker has served m"):
        await within(hurried.wait(ticket.id, 1000))
    assert (await hurried.view(ticket.id)).status == "queued"

    again = await hurried.submit(job(), SubmitOptions(awaited=True))
    with pytest.raises(NoWorker):  # at once, now that it is known
        await within(hurried.wait(again.id, 1000))


async def test_a_mistake_of_ours_is_no_outage_and_ends_no_watch(
    server: fakeredis.FakeServer,
    worker_queue: WorkerQueue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr(watch, "LOOK_S", 0.02)
    original, mistakes = QueueInspector.attendance, [KeyError("a mistake"), KeyError("a mistake")]

    async def attendance(self: QueueInspector):
        if mistakes:
            raise mistakes.pop()
        return await original(self)

    monkeypatch.setattr(QueueInspector, "attendance", attendance)
    queue = JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings())
    await queue.start()
    try:
        await until(lambda: queue._watch._found)
    finally:
        await queue.aclose()
    assert caplog.text.count("KeyError: 'a mistake'") == 2
    assert "Redis cannot be used" not in caplog.text


async def test_a_stream_without_a_worker_ends_before_its_first_event(hurried: JobQueue):
    story = GenerateJob(model="w", prompt=Prompt("a"), stream=True)
    ticket = await hurried.submit(story, SubmitOptions(awaited=True))
    with pytest.raises(NoWorker):
        async for _ in hurried.stream(ticket.id):
            pass


async def test_who_comes_back_with_a_key_is_told_too(hurried: JobQueue):
    options = SubmitOptions(awaited=True, idempotency_key="k")
    first = await hurried.submit(job(), options)
    second = await hurried.submit(job(), options)
    assert (second.id, second.created) == (first.id, False)
    with pytest.raises(NoWorker):
        await within(hurried.wait(second.id, 1000))


async def test_who_asks_for_a_job_of_another_waits_as_long_as_they_said(hurried: JobQueue):
    ticket = await hurried.submit(job(), SubmitOptions())
    with pytest.raises(ResultTimeout):
        await hurried.wait(ticket.id, 0.5)


async def test_a_worker_that_loads_its_models_is_waited_for(
    hurried: JobQueue, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
):
    worker_queue.announce_start()
    ticket = await hurried.submit(job(), SubmitOptions(awaited=True))
    waiting = asyncio.create_task(hurried.wait(ticket.id, 1000))
    looks, looked = 0, hurried._watch._looked

    def count() -> None:
        nonlocal looks
        looks += 1
        looked()

    monkeypatch.setattr(hurried._watch, "_looked", count)
    await until(lambda: looks > 20)  # which takes longer than worker_wait_s
    assert not waiting.done()
    (claim,), _ = claim_all(worker_queue)
    finish(worker_queue, claim)
    assert await within(waiting) == RESULT


async def test_a_stream_that_has_begun_outlives_its_worker(hurried: JobQueue, worker_queue: WorkerQueue):
    story = GenerateJob(model="w", prompt=Prompt("a"), stream=True)
    ticket = await hurried.submit(story, SubmitOptions(awaited=True))
    claims = worker_queue.claim(
        [QueueCapacity("generate:w:default", 10_000, 9)], max_jobs=9, suspect=False
    ).claims
    published = [Pieces(1, 0, (Piece(text=text),)) for text in ("one", "two")]
    worker_queue.emit([(claims[0], 1, published[0])])

    async with contextlib.aclosing(hurried.stream(ticket.id)) as events:
        assert await within(anext(events)) == (1, published[0])
        await until(lambda: hurried._watch.absent_s("w") > 0.5)
        worker_queue.emit([(claims[0], 2, published[1])])
        assert await within(anext(events)) == (2, published[1])


async def test_a_finished_stream_read_again_without_a_worker_is_whole(
    hurried: JobQueue, worker_queue: WorkerQueue, monkeypatch: pytest.MonkeyPatch
):
    story = GenerateJob(model="w", prompt=Prompt("a"), stream=True)
    options = SubmitOptions(awaited=True, idempotency_key="k")
    first = await hurried.submit(story, options)
    claims = worker_queue.claim(
        [QueueCapacity("generate:w:default", 10_000, 9)], max_jobs=9, suspect=False
    ).claims
    published = [Pieces(1, 0, (Piece(text=text),)) for text in ("one", "two")]
    for number, pieces in enumerate(published, 1):
        worker_queue.emit([(claims[0], number, pieces)])
    finish(worker_queue, claims[0])
    assert [event async for event in hurried.stream(first.id)] == [(1, published[0]), (2, published[1])]
    await until(lambda: hurried._watch.absent_s("w") > 0.5)

    again = await hurried.submit(story, options)
    assert not again.created
    assert [event async for event in hurried.stream(again.id)] == [(1, published[0]), (2, published[1])]

    hurried.stop_waiting()
    again = await hurried.submit(story, options)
    assert [event async for event in hurried.stream(again.id)] == [(1, published[0]), (2, published[1])]
