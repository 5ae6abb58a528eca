"""The whole worker, its threads and a real Redis; only the model is a fake."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.embed import EmbedResult
from jobs.errors import InternalError, InvalidInput, TimeLimitExceeded
from jobs.job import Lane, SubmitOptions
from jobs.store import keys, record
from jobs.store.connection import connect, connect_async
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.running_worker import (
    INTERACTIVE,
    LIMITS,
    SETTINGS,
    ThreadWorker,
    has_status,
    job,
    open_queue,
    run,
    running_worker,
    vectors,
)
from tests.support.waiting import PATIENCE_S, until, until_async
from workers.loops import claim
from workers.models.model_cache import preloaded
from workers.queue.client import SUSPECTS_AT_ONCE, WorkerQueue
from workers.queue.execution import QueueCapacity


async def test_every_job_gets_its_own_vectors_in_order(queue: JobQueue):
    texts = [[f"{n} {'x' * (n % 40)} {k}" for k in range(n % 7 + 1)] for n in range(200)]
    results = await asyncio.gather(*[run(queue, *each) for each in texts])
    for each, result in zip(texts, results, strict=True):
        assert vectors(result) == [expected_vector(text) for text in each]


async def test_jobs_that_wait_together_share_batches(
    queue: JobQueue, worker: ThreadWorker, runner: FakeRunner
):
    runner.gate.clear()
    blocker = asyncio.create_task(run(queue, "first"))
    await until(lambda: runner.batches == [["first"]])
    others = [asyncio.create_task(run(queue, f"text {n}")) for n in range(10)]
    await until(lambda: worker.items_ready == 10)
    runner.gate.set()
    await asyncio.gather(blocker, *others)
    assert [len(batch) for batch in runner.batches] == [1, 10]


async def test_a_large_bulk_job_does_not_hold_up_an_interactive_one(
    queue: JobQueue, worker: ThreadWorker, runner: FakeRunner
):
    runner.gate.clear()
    bulk = await queue.submit(job(*[f"{'b' * 20} {n}" for n in range(500)]), SubmitOptions(lane=Lane.BULK))
    await until(lambda: len(runner.batches) == 1)
    items_ready = worker.items_ready
    asked = asyncio.create_task(run(queue, "interactive"))
    await until(lambda: worker.items_ready == items_ready + 1)
    runner.gate.set()
    await asked
    assert len(vectors(await queue.wait(bulk.id, PATIENCE_S))) == 500
    assert "interactive" in runner.batches[1]
    assert len(runner.batches) > 10


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("raise", InternalError),
        ("nan", InternalError),
        ("unpreparable", InternalError),
        ("invalid", InvalidInput),
    ],
)
async def test_a_poisoned_job_fails_alone(queue: JobQueue, text: str, error: type[Exception]):
    answers = await asyncio.gather(
        *[run(queue, "a"), run(queue, text), run(queue, "b"), run(queue, "c")], return_exceptions=True
    )
    assert isinstance(answers[1], error)
    others = [answer for answer in answers if isinstance(answer, EmbedResult)]
    assert [vectors(answer)[0] for answer in others] == [expected_vector(t) for t in "abc"]


async def test_a_failed_run_is_retried_with_backoff_and_then_failed(
    queue: JobQueue, redis_client: redis.Redis
):
    ticket = await queue.submit(job("raise"), SubmitOptions(retries=1))
    await until_async(lambda: has_status(queue, ticket.id, "scheduled"))
    with pytest.raises(InternalError):
        await queue.wait(ticket.id, PATIENCE_S)
    assert (await queue.view(ticket.id)).attempts == 2
    assert redis_client.xlen(keys.results(ticket.id)) == 1


async def test_a_job_over_its_time_limit_fails_while_the_device_is_still_busy(
    queue: JobQueue, runner: FakeRunner
):
    runner.gate.clear()
    with pytest.raises(TimeLimitExceeded):
        await run(queue, "slow", options=SubmitOptions(lane=Lane.INTERACTIVE, time_limit_s=1, awaited=True))
    runner.gate.set()
    assert vectors(await run(queue, "next"))


async def test_canceling_a_running_job_frees_the_device_from_its_rest(
    queue: JobQueue, worker: ThreadWorker, runner: FakeRunner
):
    runner.gate.clear()
    ticket = await queue.submit(job(*["x" * 100] * 50), SubmitOptions())
    await until(lambda: len(runner.batches) == 1)
    assert await queue.cancel(ticket.id)
    await until(lambda: worker.jobs_in_flight == 0)
    runner.gate.set()
    await run(queue, "next")
    assert len(runner.batches) == 2


async def test_sigterm_gives_the_waiting_jobs_back_at_once(
    redis_server: RedisServer, redis_client: redis.Redis
):
    runner = FakeRunner()
    client = JobQueue(connect_async(redis_server.url), SETTINGS)
    with running_worker(redis_server.url, runner, release=runner.gate) as first:
        await until_async(client.ready)
        runner.gate.clear()
        tickets = [await client.submit(job(f"{n}" * 200), SubmitOptions()) for n in range(6)]
        await until(lambda: len(runner.batches) == 1)
        first.stop()
        await until(lambda: redis_client.llen(keys.queue("embed:fake:default")) == 5)
        given_back = keys.names(redis_client.lrange(keys.queue("embed:fake:default"), 0, -1))
        assert given_back == [ticket.id for ticket in tickets[1:]]
    assert (await client.view(tickets[0].id)).status == "finished"
    assert not await client.ready()
    await client.aclose()


async def test_a_backlog_without_room_costs_no_busy_loop(
    queue: JobQueue, redis_client: redis.Redis, runner: FakeRunner
):
    runner.gate.clear()
    for _ in range(40):
        await queue.submit(job("x" * 200), SubmitOptions(lane=Lane.BULK))
    await until(lambda: len(runner.batches) == 1)
    await asyncio.sleep(0.3)
    before = _scripts_run(redis_client)
    await asyncio.sleep(1)
    scripts = _scripts_run(redis_client) - before
    runner.gate.set()
    assert scripts < 60
    await until_async(lambda: _is_drained(queue))


def _scripts_run(redis_client: redis.Redis) -> int:
    return redis_client.info("commandstats")["cmdstat_evalsha"]["calls"]  # pyright: ignore[reportIndexIssue]


async def _is_drained(queue: JobQueue) -> bool:
    return all(lane.queued + lane.started == 0 for lane in (await queue.stats()).queues)


async def suspects_and_a_fresh_one(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis, crashes: int
) -> None:
    """Twenty jobs in which so many workers died are done beside an interactive one."""
    redis_client.set(keys.SUSPENDED, 1)
    await until(lambda: worker.is_suspended)
    suspects = [await queue.submit(job(f"s{n}"), SubmitOptions(lane=Lane.BULK)) for n in range(20)]
    for ticket in suspects:
        redis_client.hset(keys.job(ticket.id), "mlxq_crashes", crashes)
    bulk = keys.queue_name("embed", "fake", Lane.BULK)
    redis_client.rename(keys.queue(bulk), keys.suspects(bulk))
    redis_client.zadd("mlxq:suspects", {bulk: time.time()})
    asked = await queue.submit(job("interactive"), INTERACTIVE)
    redis_client.delete(keys.SUSPENDED)
    for ticket in (asked, *suspects):
        await queue.wait(ticket.id, PATIENCE_S)


@pytest.mark.parametrize(("crashes", "most_beside"), [(2, SUSPECTS_AT_ONCE), (3, 1)])
async def test_fresh_interactive_work_does_not_wait_for_all_suspects(
    queue: JobQueue,
    worker: ThreadWorker,
    redis_client: redis.Redis,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
    crashes: int,
    most_beside: int,
):
    monkeypatch.setattr(claim, "SUSPECTS_TURN_S", 0)
    await suspects_and_a_fresh_one(queue, worker, redis_client, crashes)
    assert [batch for batch in runner.batches[:3] if batch == ["interactive"]] == [["interactive"]]
    assert max(map(len, runner.batches)) <= most_beside


async def test_suspects_that_take_little_time_are_done_in_one_turn(
    queue: JobQueue,
    worker: ThreadWorker,
    redis_client: redis.Redis,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
):
    """A worker that is never without fresh work lets its hand become empty for a turn, and seldom."""
    monkeypatch.setattr(claim, "SUSPECTS_TURN_S", 60)
    await suspects_and_a_fresh_one(queue, worker, redis_client, crashes=3)
    assert [len(batch) for batch in runner.batches] == [1] * 21
    assert runner.batches[20] == ["interactive"]


async def test_a_job_of_a_later_version_is_told_of_once_and_costs_no_busy_loop(
    queue: JobQueue, redis_client: redis.Redis, worker: ThreadWorker, caplog: pytest.LogCaptureFixture
):
    redis_client.set(keys.SUSPENDED, 1)
    await until(lambda: worker.is_suspended)
    ticket = await queue.submit(job("later"), SubmitOptions(lane=Lane.BULK))
    redis_client.hset(keys.job(ticket.id), "mlxq_version", record.VERSION + 1)
    redis_client.delete(keys.SUSPENDED)
    await until(lambda: "later version" in caplog.text)
    before = redis_client.info("stats")["total_commands_processed"]
    await run(queue, "fresh")
    await asyncio.sleep(1)
    assert redis_client.info("stats")["total_commands_processed"] - before < 400
    assert caplog.text.count("later version") == 1
    redis_client.hdel(keys.job(ticket.id), "mlxq_version")  # as if a worker of that version had come
    await queue.wait(ticket.id, PATIENCE_S)


async def test_a_job_whose_end_redis_has_forgotten_is_done_again(
    queue: JobQueue, redis_client: redis.Redis, worker: ThreadWorker
):
    await run(queue, "first")
    workers: Any = redis_client.zrange(keys.LEASES, 0, -1)
    redis_client.set(keys.SUSPENDED, 1)
    await until(lambda: worker.is_suspended)
    ticket = await queue.submit(job("forgotten"), SubmitOptions())
    # What the worker's claim wrote, which is there again after its FINISH was lost with the end of the file:
    lost = WorkerQueue(redis_client, workers[0].decode(), lease_s=1, max_crashes=4)
    assert lost.claim([QueueCapacity("embed:fake:default", 100, 9)], max_jobs=9).claims
    redis_client.delete(keys.SUSPENDED)
    await queue.wait(ticket.id, PATIENCE_S)
    assert (await queue.view(ticket.id)).attempts == 2


async def test_no_key_is_left_when_the_results_have_expired(queue: JobQueue, redis_client: redis.Redis):
    options = SubmitOptions(result_ttl_s=1, awaited=True)
    await run(queue, "good", options=options)
    with pytest.raises(InternalError):
        await run(queue, "raise", options=options)
    canceled = await queue.submit(job("x"), options)
    await queue.cancel(canceled.id)
    of_live_workers = ("rq:worker", "mlxq:worker:", "mlxq:claimed:", "mlxq:leases", "mlxq:clock")
    lasting = (*of_live_workers, "mlxq:model", "mlxq:admitted", "rq:queues")

    def left() -> list[bytes]:
        return [key for key in redis_client.scan_iter() if not key.decode().startswith(lasting)]

    # Redis deletes those that expire within a minute; nobody waits for that here.
    await until(lambda: all(0 <= redis_client.ttl(key) <= 60 for key in left()))
    for key in left():
        redis_client.delete(key)
    await asyncio.sleep(2 * SETTINGS.sweep_s)
    assert left() == []


def test_a_redis_that_swallows_commands_does_not_keep_the_main_thread(runner: FakeRunner, tmp_path: Path):
    with RedisServer(tmp_path / "redis") as server:
        models = preloaded({"fake": runner})
        worker = ThreadWorker(connect(server.url), models, {"fake": LIMITS}, SETTINGS, lambda work: work())
        worker._heartbeat.beat()
        pid = connect(server.url).info("server")["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            started_at = time.monotonic()
            for _ in range(12):  # so that it is due at least once
                worker._tick()
                if worker._queue.outage.cause:
                    break
            took_s = time.monotonic() - started_at
        finally:
            os.kill(pid, signal.SIGCONT)
        assert took_s < 15  # a supervisor kills what has not stopped in 30 s
        assert worker._queue.outage.cause


async def test_a_job_that_ends_the_devices_thread_was_in_a_crash(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
):
    def end_thread(items: object) -> None:
        raise SystemExit

    monkeypatch.setattr(runner, "run", end_thread)
    with running_worker(redis_server.url, runner) as worker:
        async with open_queue(redis_server.url) as queue:
            ticket = await queue.submit(job("poison"), SubmitOptions())
            await until(lambda: worker.has_ended)
            other = WorkerQueue(redis_client, "other", lease_s=1, max_crashes=3)
            assert other.reclaim().requeued == 1
            assert redis_client.hget(keys.job(ticket.id), "mlxq_crashes") == b"1"
            await queue.cancel(ticket.id)


async def test_a_sweep_that_has_used_its_time_goes_on_at_the_next_beat(
    worker: ThreadWorker, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
):
    called_at: list[int] = []

    def sweep(most_s: float) -> bool:
        assert most_s <= SETTINGS.lease_s / 8
        called_at.append(worker.ticks)
        return len(called_at) < 3

    monkeypatch.setattr(worker._queue, "sweep", sweep)
    await until(lambda: len(called_at) >= 4)
    first, second, third, later = called_at[:4]
    assert (second, third) == (first + 1, first + 2)
    assert later > third + 1  # after SETTINGS.sweep_s
