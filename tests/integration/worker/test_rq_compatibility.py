"""What RQ's own tools and users expect of a worker: commands, callbacks, dependents, `rq info`, exporters."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from rq import Callback, Queue, Worker
from rq.command import send_shutdown_command, send_stop_job_command
from rq.job import Dependency, Retry
from rq.job import Job as RqJob
from rq.repeat import Repeat
from rq_exporter.collector import RQCollector

from jobs.client.queue import JobQueue
from jobs.errors import InternalError, JobExpired, UnreadableJob, WorkerLost
from jobs.job import SubmitOptions
from jobs.store import keys
from jobs.store.redis_server import RedisServer
from jobs.store.serializer import MsgpackSerializer
from tests.support.fake_runner import DIMENSIONS, FakeRunner, expected_vector
from tests.support.running_worker import ThreadWorker, has_status, job, run, vectors, worker_process
from tests.support.waiting import PATIENCE_S, until, until_async
from workers.queue.client import WorkerQueue


async def test_rq_stop_job_ends_a_running_job_as_stopped(
    queue: JobQueue, runner: FakeRunner, redis_client: redis.Redis
):
    runner.gate.clear()
    ticket = await queue.submit(job("long"), SubmitOptions())
    await until(lambda: len(runner.batches) == 1)
    send_stop_job_command(redis_client, ticket.id, serializer=MsgpackSerializer)
    await until_async(lambda: has_status(queue, ticket.id, "stopped"))
    runner.gate.set()


async def test_a_job_that_rq_enqueued_is_repeated_as_it_asks(
    queue: JobQueue, runner: FakeRunner, redis_client: redis.Redis
):
    lane = Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)
    repeated = lane.enqueue("mlxq.run", job("again"), repeat=Repeat(times=2, interval=[0, 1]))
    await until(lambda: len(repeated.results()) == 3)
    await until_async(lambda: has_status(queue, repeated.id, "finished"))
    assert 0 < redis_client.ttl(keys.job(repeated.id)) <= 500
    assert runner.batches == [["again"]] * 3


async def test_rq_shutdown_is_a_warm_stop(
    redis_server: RedisServer, redis_client: redis.Redis, queue: JobQueue
):
    """RQ's command sends SIGINT to the worker's own process, so this one has a process of its own."""
    listens_at = "rq:pubsub:other"
    with worker_process(redis_server.url, "other") as process:
        await until(lambda: redis_client.pubsub_numsub(listens_at) == [(listens_at.encode(), 1)], PATIENCE_S)
        send_shutdown_command(redis_client, "other")
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
    assert not any(w.name == "other" for w in Worker.all(redis_client))


async def test_dependents_of_a_finished_job_are_enqueued(
    queue: JobQueue, redis_client: redis.Redis, runner: FakeRunner
):
    runner.gate.clear()
    ticket = await queue.submit(job("parent"), SubmitOptions())
    other = Queue("reports", connection=redis_client, serializer=MsgpackSerializer)
    parent = RqJob.fetch(ticket.id, connection=redis_client, serializer=MsgpackSerializer)
    child = other.enqueue("print", depends_on=parent)
    assert child.get_status() == "deferred"
    runner.gate.set()
    await until(lambda: child.get_status() == "queued")
    assert other.job_ids == [child.id]
    await until(lambda: not redis_client.exists(keys.FOLLOWUPS))


async def test_a_job_whose_workers_died_gets_its_failure_callback_and_releases_its_dependents(
    queue: JobQueue, redis_client: redis.Redis, runner: FakeRunner, worker: ThreadWorker
):
    runner.gate.clear()
    lane = Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)
    lost = lane.enqueue("mlxq.run", job("text"), on_failure=Callback(remember_failure))
    other = Queue("reports", connection=redis_client, serializer=MsgpackSerializer)
    child = other.enqueue("print", depends_on=Dependency(jobs=[lost], allow_failure=True))
    await until(lambda: len(runner.batches) == 1)
    WorkerQueue(redis_client, "another", lease_s=1, max_crashes=1).reclaim_hung(
        [active.claim for active in worker._in_flight.jobs()]
    )
    with pytest.raises(WorkerLost):
        await queue.wait(lost.id, PATIENCE_S)
    await until(lambda: redis_client.llen("callbacks") == 1 and child.get_status() == "queued")
    assert callbacks(redis_client) == {lost.id: "WorkerLost"}
    await until(lambda: not redis_client.exists(keys.FOLLOWUPS))


async def test_a_job_that_expired_in_the_queue_gets_its_failure_callback(
    queue: JobQueue, redis_client: redis.Redis
):
    lane = Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)
    expired = lane.create_job("mlxq.run", [job("text")], on_failure=Callback(remember_failure))
    expired.save()
    redis_client.hset(expired.key, "mlxq_expires_at", time.time() - 1)
    lane.enqueue_job(expired)
    with pytest.raises(JobExpired):
        await queue.wait(expired.id, PATIENCE_S)
    await until(lambda: redis_client.llen("callbacks") == 1)
    assert callbacks(redis_client) == {expired.id: "JobExpired"}


async def test_dependents_of_a_job_whose_result_is_not_kept_are_enqueued(
    queue: JobQueue, redis_client: redis.Redis
):
    lane = Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)
    other = Queue("reports", connection=redis_client, serializer=MsgpackSerializer)
    parent = lane.enqueue("mlxq.run", job("parent"), result_ttl=0)
    child = other.enqueue("print", depends_on=parent)
    await until(lambda: child.get_status() == "queued")


async def test_jobs_may_be_enqueued_through_rq_itself_with_callbacks_and_retries(
    queue: JobQueue, redis_client: redis.Redis
):
    lane = Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)
    good = lane.enqueue("mlxq.run", job("text"), on_success=Callback(remember_success))
    bad = lane.enqueue("mlxq.run", job("raise"), on_failure=Callback(remember_failure), retry=Retry(max=1))
    assert vectors(await queue.wait(good.id, PATIENCE_S)) == [expected_vector("text")]
    with pytest.raises(InternalError):
        await queue.wait(bad.id, PATIENCE_S)
    assert callbacks(redis_client) == {good.id: DIMENSIONS, bad.id: "InternalError"}
    good.refresh()
    assert dict(good.return_value() or {})["dimensions"] == DIMENSIONS


async def test_callbacks_that_cannot_be_imported_harm_nobody_else(queue: JobQueue, redis_client: redis.Redis):
    lane = Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)
    broken = [
        lane.enqueue("mlxq.run", job("raise"), on_failure=Callback("nowhere.to_be_found")),
        lane.enqueue("mlxq.run", job("text"), on_success=Callback("nowhere.to_be_found")),
    ]
    for each in broken:
        with pytest.raises(InternalError):
            await queue.wait(each.id, PATIENCE_S)
    assert vectors(await run(queue, "next")) == [expected_vector("next")]


def callbacks(redis_client: redis.Redis) -> dict[str, object]:
    """What the callbacks below noted, by job id."""
    return dict(json.loads(entry) for entry in redis_client.lrange("callbacks", 0, -1))


def remember_success(job: RqJob, connection: redis.Redis, result: dict) -> None:
    connection.rpush("callbacks", json.dumps([job.id, result["dimensions"]]))


def remember_failure(job: RqJob, connection: redis.Redis, kind: type, *_: object) -> None:
    connection.rpush("callbacks", json.dumps([job.id, kind.__name__]))


async def test_a_stock_rq_job_in_our_queue_fails_with_advice(queue: JobQueue, redis_client: redis.Redis):
    foreign = Queue("embed:fake:default", connection=redis_client).enqueue(print, "hello")
    with pytest.raises(UnreadableJob):
        await queue.wait(foreign.id, PATIENCE_S)


async def test_rq_info_and_exporter_tell_the_truth(
    queue: JobQueue,
    redis_client: redis.Redis,
    redis_server: RedisServer,
    runner: FakeRunner,
    worker: ThreadWorker,
):
    await run(queue, "done")
    runner.gate.clear()
    running = await queue.submit(job("running"), SubmitOptions())
    await until(lambda: len(runner.batches) == 2)
    await until(lambda: [each.get_state() for each in Worker.all(redis_client)] == ["busy"])

    info = subprocess.run(
        [str(Path(sys.executable).with_name("rq")), "info", "-u", redis_server.url, "--raw", "--by-queue"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "queue embed:fake:default 0" in info
    (listed,) = Worker.all(redis_client)
    assert (listed.name, listed.successful_job_count) == (worker.name, 1)

    lane = Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)
    assert [each.partition(":")[0] for each in lane.started_job_registry.get_job_ids()] == [running.id]
    assert lane.finished_job_registry.count == 0
    interactive = Queue("embed:fake:interactive", connection=redis_client, serializer=MsgpackSerializer)
    assert interactive.finished_job_registry.count == 1
    exported = {
        (metric.name, *sample.labels.values()): sample.value
        for metric in RQCollector(redis_client).collect()
        for sample in metric.samples
    }
    assert exported["rq_jobs", "embed:fake:default", "started"] == 1
    assert exported["rq_jobs", "embed:fake:interactive", "finished"] == 1
    assert [key[1:3] for key in exported if key[0] == "rq_workers"] == [(worker.name, "busy")]
    runner.gate.set()
    await queue.wait(running.id, PATIENCE_S)


async def test_a_suspended_worker_takes_nothing(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    asked = 0

    def is_suspended() -> bool:
        nonlocal asked
        asked += 1
        return worker.is_suspended

    monkeypatch.setattr(worker._claim_loop, "_is_suspended", is_suspended)
    redis_client.set(keys.SUSPENDED, 1)
    await until(lambda: worker.is_suspended)
    ticket = await queue.submit(job("later"), SubmitOptions())
    before = asked
    await until(lambda: asked >= before + 4)  # it looked for work again, and once more
    assert (await queue.view(ticket.id)).status == "queued"
    redis_client.delete(keys.SUSPENDED)
    assert vectors(await queue.wait(ticket.id, PATIENCE_S))
