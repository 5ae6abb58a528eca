"""Submitting, waiting, viewing and canceling, over fakeredis."""

import asyncio
import base64
from typing import Any

import fakeredis
import pytest
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import (
    IdempotencyConflict,
    InternalError,
    InvalidInput,
    JobCanceled,
    NoWorker,
    Overloaded,
    QueueUnavailable,
    ResultTimeout,
    UnknownJob,
    UnknownModel,
    UnreadableJob,
    UnreadableResult,
)
from jobs.generate import GenerateJob, Prompt
from jobs.job import Lane, SubmitOptions
from jobs.settings import Settings
from jobs.store import keys, record
from jobs.store.scripts import script
from tests.support.queue_jobs import INFO, QUEUE, RESULT, claim_all, finish, job
from tests.support.waiting import turns, until
from workers.queue.client import WorkerQueue
from workers.queue.execution import Outcome, failed


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
        await queue.wait(ticket.id, 60)


async def test_a_running_job_that_is_canceled_keeps_no_result(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    assert await queue.cancel(ticket.id)
    assert finish(worker_queue, claim) == ({claim.member}, [])
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

    async def listed(**filters: Any) -> list[str]:
        return [view.id for view in (await queue.views(limit=10, **filters)).jobs]

    assert await listed() == [second.id, first.id]
    assert await listed(lane=Lane.BULK) == [second.id]
    assert await listed(offset=1) == [first.id]
    claim_all(worker_queue)
    assert await listed(status="started") == [first.id]


async def test_the_view_shows_position_attempts_and_metadata(queue: JobQueue, worker_queue: WorkerQueue):
    await queue.submit(job(), SubmitOptions())
    ticket = await queue.submit(job(), SubmitOptions(metadata={"file": "a.txt"}))
    view = await queue.view(ticket.id)
    assert (view.position, view.attempts, view.metadata) == (1, 0, {"file": "a.txt"})
    claims, _ = claim_all(worker_queue)
    view = await queue.view(ticket.id)
    assert (view.status, view.position, view.attempts, view.worker) == ("started", None, 1, "w1")
    finish(worker_queue, claims[1])
    view = await queue.view(ticket.id)
    assert (view.status, view.attempts, view.worker) == ("finished", 1, "w1")


def test_an_admit_whose_reply_was_lost_may_be_repeated(server: fakeredis.FakeServer):
    redis = fakeredis.FakeRedis(server=server)
    admit = redis.register_script(script("admit"))
    fields = record.encode(job(), SubmitOptions(), "")
    args = [10, 10_000, 60, 1, "id1", QUEUE, "", "", "", 1, len(fields), *fields]
    assert admit(args=args) == admit(args=args) == [[b"created", b"id1"]]
    assert redis.lrange(keys.queue(QUEUE), 0, -1) == [b"id1"]


async def test_a_failure_reaches_the_waiter_with_its_code(queue: JobQueue, worker_queue: WorkerQueue):
    ticket = await queue.submit(job(), SubmitOptions(awaited=True))
    (claim,), _ = claim_all(worker_queue)
    worker_queue.finish([failed(claim, UnknownModel("gone", param="model").failure())], 0)
    with pytest.raises(UnknownModel, match="gone"):
        await queue.wait(ticket.id, 60)
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
    assert await queue.wait(ticket.id, 60) == large
    assert fakeredis.FakeRedis(server=server).ttl(keys.blob(claim.execution)) > 0


async def test_a_queue_lists_its_work_and_its_workers(queue: JobQueue, worker_queue: WorkerQueue):
    await queue.submit(job(), SubmitOptions())
    stats = await queue.stats()
    (lane,) = stats.queues
    assert (lane.queue, lane.queued, lane.started, lane.drain_rate) == (QUEUE, 1, 0, 2.0)


async def test_a_waiter_is_told_that_its_job_has_vanished(queue: JobQueue, server: fakeredis.FakeServer):
    ticket = await queue.submit(job(), SubmitOptions(awaited=True))
    fakeredis.FakeRedis(server=server).flushall()
    with pytest.raises(UnknownJob):
        await queue.wait(ticket.id, 60)


class AwayRedis(fakeredis.FakeAsyncRedis):
    asked = 0

    def pipeline(self, *args: Any, **kwargs: Any):
        made = super().pipeline(*args, **kwargs)
        made.execute = self._ask
        return made

    async def _ask(self, *_: Any, **__: Any):
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
    (listed,) = (await queue.views(limit=1)).jobs
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


async def test_unreadable_announcements_are_skipped_and_logged(
    queue: JobQueue, server: fakeredis.FakeServer, caplog: pytest.LogCaptureFixture
):
    redis = fakeredis.FakeRedis(server=server)
    redis.hset(keys.MODELS, "other", b"\xc1garbage")
    redis.hset(keys.MODELS, b"\xff\xfe", record.pack({"info": "of a version to come"}))
    redis.sadd(keys.WORKERS, keys.WORKER_PREFIX + "w2", keys.WORKER_PREFIX + "w3", b"\xff\xfe")
    redis.sadd(keys.QUEUES, b"\xff\xfe")
    redis.set(keys.worker("w2"), b"\xc1garbage")
    redis.rpush(keys.worker("w3"), "not a string")
    assert await queue.models() == (INFO,)
    assert [worker.name for worker in (await queue.stats()).workers] == ["w1"]
    assert await queue.ready()
    assert await queue.stats()  # asked again, and not logged again
    complained = sorted(r.__dict__["key"] for r in caplog.records if "unreadable" in r.message)
    by_one = [keys.worker("w2"), keys.worker("w3")]
    by_the_watch = by_one  # it reads them with a memory of its own
    named = [keys.announced_model(b"other"), keys.announced_model(b"\xff\xfe")]
    assert complained == sorted(by_one + by_the_watch + named)


async def test_a_job_of_a_later_version_is_neither_shown_nor_canceled_and_the_error_says_why(
    queue: JobQueue, server: fakeredis.FakeServer
):
    ticket = await queue.submit(job(), SubmitOptions())
    redis = fakeredis.FakeRedis(server=server)
    redis.hset(keys.job(ticket.id), "mlxq_version", record.VERSION + 1)
    before = redis.hgetall(keys.job(ticket.id))
    for ask in (queue.view, queue.cancel, queue.delete, lambda job_id: queue.wait(job_id, 5)):
        with pytest.raises(UnreadableJob, match=f"version {record.VERSION + 1}, .* up to {record.VERSION}"):
            await ask(ticket.id)
    with pytest.raises(UnreadableJob):
        await anext(queue.stream(ticket.id))
    assert redis.hgetall(keys.job(ticket.id)) == before
    page = await queue.views(status=None, model=None, lane=None, limit=10)
    assert [each.id for each in page.jobs] == [ticket.id]  # what RQ's fields say can be told


async def test_a_result_that_a_later_version_has_written_is_unreadable_and_not_an_internal_error(
    queue: JobQueue, worker_queue: WorkerQueue
):
    ticket = await queue.submit(job(), SubmitOptions())
    (claim,), _ = claim_all(worker_queue)
    stored = base64.b64encode(record.pack({"type": "of_a_later_version"}))
    worker_queue.finish([Outcome(claim, "finished", 60, stored)], 0)
    for ask in (queue.view, lambda job_id: queue.wait(job_id, 5)):
        with pytest.raises(UnreadableResult):
            await ask(ticket.id)
    assert (await queue.delete(ticket.id)) is not None
