"""The whole worker, its threads and a real Redis; only the model is a fake."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from rq import Callback, Queue, Worker
from rq.command import send_shutdown_command, send_stop_job_command
from rq.job import Job as RqJob
from rq.job import Retry
from rq_exporter.collector import RQCollector

from jobs import keys
from jobs.connection import connect, connect_async
from jobs.errors import InternalError, InvalidInput, TimeLimitExceeded, UnreadableJob
from jobs.queue import JobQueue
from jobs.serializer import MsgpackSerializer
from jobs.server import RedisServer
from jobs.settings import Settings
from jobs.types import EmbedJob, EmbedResult, Lane, SubmitOptions
from tests.fake_runner import DIMENSIONS, FakeRunner, expected_vector
from workers.batching import BatchLimits
from workers.worker import HUNG, BatchWorker

SETTINGS = Settings(lease_s=1, sweep_s=0.5, batch_timeout_s=60)
LIMITS = BatchLimits(tokens=256, items=64, padding=0.5, free_padding=64)
INTERACTIVE = SubmitOptions(lane=Lane.INTERACTIVE, awaited=True)


class ThreadWorker(BatchWorker):
    """A worker beside the test: signals belong to the main thread."""

    def _install_signal_handlers(self) -> None:
        pass

    def stop(self) -> None:
        self._stop_requested = True


@contextmanager
def running_worker(url: str, runner: FakeRunner, settings: Settings = SETTINGS) -> Iterator[ThreadWorker]:
    model = runner.info.id
    worker = ThreadWorker(connect(url), {model: runner}, {model: LIMITS}, settings, lambda work: work())
    thread = threading.Thread(target=worker.work)
    thread.start()
    try:
        yield worker
    finally:
        runner.gate.set()
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def worker(
    redis_server: RedisServer, redis_client: redis.Redis, runner: FakeRunner
) -> Iterator[ThreadWorker]:
    with running_worker(redis_server.url, runner) as worker:
        yield worker


@pytest.fixture
async def queue(worker: ThreadWorker, redis_server: RedisServer) -> AsyncIterator[JobQueue]:
    queue = JobQueue(connect_async(redis_server.url), SETTINGS)
    await queue.start()
    await until_async(queue.ready)
    yield queue
    await queue.aclose()


def job(*texts: str) -> EmbedJob:
    return EmbedJob(model="fake", inputs=texts)


async def until_async(condition: Callable, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    async def asked() -> bool:
        return condition()

    await until_async(asked, timeout_s)


async def run(queue: JobQueue, *texts: str, options: SubmitOptions = INTERACTIVE) -> EmbedResult:
    ticket = await queue.submit(job(*texts), options)
    return await queue.wait(ticket.id, 10)


def vectors(result: EmbedResult) -> list[bytes]:
    size = 4 * DIMENSIONS
    return [result.vectors[at : at + size] for at in range(0, len(result.vectors), size)]


async def test_every_job_gets_its_own_vectors_in_order(queue: JobQueue):
    texts = [[f"{n} {'x' * (n % 40)} {k}" for k in range(n % 7 + 1)] for n in range(200)]
    results = await asyncio.gather(*[run(queue, *each) for each in texts])
    for each, result in zip(texts, results, strict=True):
        assert vectors(result) == [expected_vector(text) for text in each]


async def test_jobs_that_wait_together_share_batches(queue: JobQueue, runner: FakeRunner):
    runner.gate.clear()
    blocker = asyncio.create_task(run(queue, "first"))
    await until(lambda: runner.batches == [["first"]])
    others = [asyncio.create_task(run(queue, f"text {n}")) for n in range(10)]
    await asyncio.sleep(0.3)
    runner.gate.set()
    await asyncio.gather(blocker, *others)
    assert [len(batch) for batch in runner.batches] == [1, 10]


async def test_a_large_bulk_job_does_not_hold_up_an_interactive_one(queue: JobQueue, runner: FakeRunner):
    runner.gate.clear()
    bulk = await queue.submit(job(*[f"{'b' * 20} {n}" for n in range(500)]), SubmitOptions(lane=Lane.BULK))
    await until(lambda: len(runner.batches) == 1)
    asked = asyncio.create_task(run(queue, "interactive"))
    await asyncio.sleep(0.3)
    runner.gate.set()
    await asked
    assert len(vectors(await queue.wait(bulk.id, 10))) == 500
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
    await until_async(lambda: _has_status(queue, ticket.id, "scheduled"))
    with pytest.raises(InternalError):
        await queue.wait(ticket.id, 10)
    assert (await queue.view(ticket.id)).attempts == 2
    assert redis_client.xlen(keys.results(ticket.id)) == 1


async def _has_status(queue: JobQueue, job_id: str, status: str) -> bool:
    return (await queue.view(job_id)).status == status


async def test_a_job_over_its_time_limit_fails_while_the_device_is_still_busy(
    queue: JobQueue, runner: FakeRunner
):
    runner.gate.clear()
    with pytest.raises(TimeLimitExceeded):
        await run(queue, "slow", options=SubmitOptions(lane=Lane.INTERACTIVE, time_limit_s=1, awaited=True))
    runner.gate.set()
    assert vectors(await run(queue, "next"))


async def test_canceling_a_running_job_frees_the_device_from_its_rest(queue: JobQueue, runner: FakeRunner):
    runner.gate.clear()
    ticket = await queue.submit(job(*["x" * 100] * 50), SubmitOptions())
    await until(lambda: len(runner.batches) == 1)
    assert await queue.cancel(ticket.id)
    await asyncio.sleep(0.3)
    runner.gate.set()
    await run(queue, "next")
    assert len(runner.batches) == 2


async def test_rq_stop_job_ends_a_running_job_as_stopped(
    queue: JobQueue, runner: FakeRunner, redis_client: redis.Redis
):
    runner.gate.clear()
    ticket = await queue.submit(job("long"), SubmitOptions())
    await until(lambda: len(runner.batches) == 1)
    send_stop_job_command(redis_client, ticket.id, serializer=MsgpackSerializer)
    await until_async(lambda: _has_status(queue, ticket.id, "stopped"))
    runner.gate.set()


async def test_rq_shutdown_is_a_warm_stop(
    redis_server: RedisServer, redis_client: redis.Redis, queue: JobQueue
):
    """RQ's command sends SIGINT to the worker's own process, so this one has a process of its own."""
    script = Path(__file__).with_name("worker_process.py")
    process = subprocess.Popen([sys.executable, str(script), redis_server.url, "other"], cwd=Path.cwd())
    await until(lambda: any(w.name == "other" for w in Worker.all(redis_client)), 30)
    send_shutdown_command(redis_client, "other")
    assert process.wait(10) == 0
    assert not any(w.name == "other" for w in Worker.all(redis_client))


async def test_sigterm_gives_the_waiting_jobs_back_at_once(
    redis_server: RedisServer, redis_client: redis.Redis
):
    runner = FakeRunner()
    client = JobQueue(connect_async(redis_server.url), SETTINGS)
    with running_worker(redis_server.url, runner) as first:
        await until_async(client.ready)
        runner.gate.clear()
        tickets = [await client.submit(job(f"{n}" * 200), SubmitOptions()) for n in range(6)]
        await until(lambda: len(runner.batches) == 1)
        first.stop()
        await until(lambda: redis_client.llen(keys.queue("embed:fake:default")) == 5, 2)
        given_back = keys.names(redis_client.lrange(keys.queue("embed:fake:default"), 0, -1))
        assert given_back == [ticket.id for ticket in tickets[1:]]
    assert (await client.view(tickets[0].id)).status == "finished"
    assert not await client.ready()
    await client.aclose()


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


async def test_jobs_may_be_enqueued_through_rq_itself_with_callbacks_and_retries(
    queue: JobQueue, redis_client: redis.Redis
):
    lane = Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)
    good = lane.enqueue("mlxq.run", job("text"), on_success=Callback(remember_success))
    bad = lane.enqueue("mlxq.run", job("raise"), on_failure=Callback(remember_failure), retry=Retry(max=1))
    assert vectors(await queue.wait(good.id, 10)) == [expected_vector("text")]
    with pytest.raises(InternalError):
        await queue.wait(bad.id, 10)
    seen = {json.loads(entry)[0]: json.loads(entry)[1] for entry in redis_client.lrange("callbacks", 0, -1)}
    assert seen == {good.id: DIMENSIONS, bad.id: "InternalError"}
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
            await queue.wait(each.id, 10)
    assert vectors(await run(queue, "next")) == [expected_vector("next")]


async def test_a_backlog_without_room_costs_no_busy_loop(
    queue: JobQueue, redis_client: redis.Redis, runner: FakeRunner
):
    runner.gate.clear()
    for _ in range(40):
        await queue.submit(job("x" * 200), SubmitOptions(lane=Lane.BULK))
    await until(lambda: len(runner.batches) == 1)
    await asyncio.sleep(0.3)
    before = redis_client.info("stats")["total_commands_processed"]
    await asyncio.sleep(1)
    commands = redis_client.info("stats")["total_commands_processed"] - before
    runner.gate.set()
    assert commands < 300
    await until_async(lambda: _is_drained(queue))


async def _is_drained(queue: JobQueue) -> bool:
    return all(lane.queued + lane.started == 0 for lane in (await queue.stats()).queues)


async def test_fresh_interactive_work_does_not_wait_for_all_suspects(
    queue: JobQueue, redis_client: redis.Redis, runner: FakeRunner
):
    redis_client.set(keys.SUSPENDED, 1)
    await asyncio.sleep(0.6)
    suspects = [await queue.submit(job(f"s{n}"), SubmitOptions(lane=Lane.BULK)) for n in range(20)]
    for ticket in suspects:
        redis_client.hset(keys.job(ticket.id), "mlxq_crashes", 2)
    asked = await queue.submit(job("interactive"), INTERACTIVE)
    redis_client.delete(keys.SUSPENDED)
    await queue.wait(asked.id, 10)
    for ticket in suspects:
        await queue.wait(ticket.id, 10)
    assert [batch for batch in runner.batches[:3] if batch == ["interactive"]] == [["interactive"]]
    assert all(len(batch) == 1 for batch in runner.batches)


async def test_a_worker_whose_tokeniser_hangs_leaves_and_its_jobs_go_on(
    redis_server: RedisServer, redis_client: redis.Redis
):
    script = Path(__file__).with_name("worker_process.py")
    client = JobQueue(connect_async(redis_server.url), SETTINGS)
    await client.start()
    process = subprocess.Popen([sys.executable, str(script), redis_server.url, "hanging"], cwd=Path.cwd())
    await until_async(client.ready, 30)
    ticket = await client.submit(job("hang in prepare"), SubmitOptions())
    assert await asyncio.to_thread(process.wait, 20) == HUNG
    assert (await client.view(ticket.id)).status == "queued"
    assert redis_client.hget(keys.job(ticket.id), "mlxq_crashes") == b"1"  # it is tried apart from others now
    await client.aclose()


def remember_success(job: RqJob, connection: redis.Redis, result: dict) -> None:
    connection.rpush("callbacks", json.dumps([job.id, result["dimensions"]]))


def remember_failure(job: RqJob, connection: redis.Redis, kind: type, *_: object) -> None:
    connection.rpush("callbacks", json.dumps([job.id, kind.__name__]))


async def test_a_stock_rq_job_in_our_queue_fails_with_advice(queue: JobQueue, redis_client: redis.Redis):
    foreign = Queue("embed:fake:default", connection=redis_client).enqueue(print, "hello")
    with pytest.raises(UnreadableJob):
        await queue.wait(foreign.id, 10)


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
    await queue.wait(running.id, 10)


async def test_a_suspended_worker_takes_nothing(queue: JobQueue, redis_client: redis.Redis):
    redis_client.set(keys.SUSPENDED, 1)
    await asyncio.sleep(0.6)
    ticket = await queue.submit(job("later"), SubmitOptions())
    await asyncio.sleep(0.5)
    assert (await queue.view(ticket.id)).status == "queued"
    redis_client.delete(keys.SUSPENDED)
    assert vectors(await queue.wait(ticket.id, 10))


async def test_no_key_is_left_when_the_results_have_expired(queue: JobQueue, redis_client: redis.Redis):
    options = SubmitOptions(result_ttl_s=1, awaited=True)
    await run(queue, "good", options=options)
    with pytest.raises(InternalError):
        await run(queue, "raise", options=options)
    canceled = await queue.submit(job("x"), options)
    await queue.cancel(canceled.id)
    lasting = ("rq:worker", "mlxq:worker:", "mlxq:models", "rq:queues")
    await until(lambda: [k for k in redis_client.scan_iter() if not k.decode().startswith(lasting)] == [], 70)
