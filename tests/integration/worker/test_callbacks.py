"""RQ's callbacks and follow-ups: a slow one delays nobody, and one that fails ends no worker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import redis
from rq import Callback, Queue
from rq.job import Job as RqJob
from rq.webhook import Webhook

from jobs.client.queue import JobQueue
from jobs.store import keys
from jobs.store.redis_server import RedisServer
from jobs.store.serializer import MsgpackSerializer
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.running_worker import ThreadWorker, job, open_queue, run, running_worker, vectors
from tests.support.waiting import PATIENCE_S, until
from workers.loops import callbacks, result
from workers.loops.callbacks import MAX_THREADS, MAX_TRIES


def lane(redis_client: redis.Redis) -> Queue:
    return Queue("embed:fake:default", connection=redis_client, serializer=MsgpackSerializer)


def wait_for_release(job: RqJob, connection: redis.Redis, *_: object) -> None:
    connection.rpush("begun", job.id)
    connection.blpop(["release"], timeout=PATIENCE_S)


async def test_slow_callbacks_delay_no_other_result(queue: JobQueue, redis_client: redis.Redis):
    slow = [
        lane(redis_client).enqueue("mlxq.run", job("slow"), on_success=Callback(wait_for_release))
        for _ in range(MAX_THREADS)
    ]
    await until(lambda: redis_client.llen("begun") == MAX_THREADS)
    assert vectors(await run(queue, "quick")) == [expected_vector("quick")]
    assert {each.get_status() for each in slow} == {
        "started"
    }  # as RQ does it: the result comes after the callback
    redis_client.rpush("release", *range(MAX_THREADS))
    for each in slow:
        assert vectors(await queue.wait(each.id, PATIENCE_S)) == [expected_vector("slow")]


@contextmanager
def silent_server(release: threading.Event) -> Iterator[tuple[str, list[str]]]:
    """A web server that answers when told to, and the paths that it was asked for."""
    asked: list[str] = []

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            release.wait(PATIENCE_S)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        release.set()
        server.shutdown()
        thread.join()
        server.server_close()


async def test_slow_webhooks_delay_no_result(queue: JobQueue, redis_client: redis.Redis):
    release = threading.Event()
    with silent_server(release) as (url, asked):
        hook = Webhook(f"{url}/done", "finished", timeout=PATIENCE_S)
        slow = [
            lane(redis_client).enqueue("mlxq.run", job("slow"), webhooks=[hook])
            for _ in range(2 * MAX_THREADS)
        ]
        for each in slow:
            assert await queue.wait(each.id, PATIENCE_S)
        await until(lambda: len(asked) == MAX_THREADS)
        assert vectors(await run(queue, "quick")) == [expected_vector("quick")]
        release.set()
        await until(lambda: not redis_client.exists(keys.FOLLOWUPS, keys.FOLLOWUP_TRIES))
        assert asked == ["/done"] * 2 * MAX_THREADS


async def test_a_follow_up_that_keeps_failing_is_tried_three_times_and_dropped(
    queue: JobQueue,
    worker: ThreadWorker,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(callbacks, "RETRY_DELAYS_S", (0,) * (MAX_TRIES - 1))
    redis_client.hset(keys.job("broken"), mapping={"data": "any", "created_at": "no time"})
    redis_client.zadd(keys.FOLLOWUPS, {"broken": 0})
    await until(lambda: not redis_client.exists(keys.FOLLOWUPS, keys.FOLLOWUP_TRIES))
    assert caplog.text.count("a follow-up failed, it is tried again") == MAX_TRIES - 1
    assert caplog.text.count("a follow-up failed at each try and is dropped") == 1
    assert vectors(await run(queue, "still here")) == [expected_vector("still here")]
    assert not worker._is_broken


async def test_a_follow_up_that_killed_its_workers_is_dropped_without_a_try(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
):
    redis_client.hset(keys.FOLLOWUP_TRIES, "deadly", MAX_TRIES)
    redis_client.zadd(keys.FOLLOWUPS, {"deadly": 0})
    await until(lambda: not redis_client.exists(keys.FOLLOWUPS, keys.FOLLOWUP_TRIES))
    assert "tried again" not in caplog.text
    assert "a follow-up failed at each try and is dropped" in caplog.text


async def test_a_failed_follow_up_is_due_again_later_each_time(
    queue: JobQueue, worker: ThreadWorker, redis_client: redis.Redis
):
    redis_client.hset(keys.job("broken"), mapping={"data": "any", "created_at": "no time"})
    redis_client.zadd(keys.FOLLOWUPS, {"broken": 0})
    delays = []
    for low, high in ((5, 20), (50, 100)):
        due = await until(lambda low=low, high=high: due_in(redis_client, low, high))
        delays.append(due)
        redis_client.zadd(keys.FOLLOWUPS, {"broken": 0})
    assert delays == sorted(delays)
    await until(lambda: not redis_client.exists(keys.FOLLOWUPS))


def due_in(redis_client: redis.Redis, low: float, high: float) -> float | None:
    """Seconds until the follow-up is due, once these are between the two."""
    score, (now, _) = redis_client.zscore(keys.FOLLOWUPS, "broken"), redis_client.time()  # pyright: ignore
    return score - now if score is not None and low < score - now < high else None


async def test_a_worker_that_stops_gives_back_jobs_whose_callbacks_do_not_return(
    redis_server: RedisServer, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(result, "GIVE_UP_S", 0.3)
    with running_worker(redis_server.url, FakeRunner()):
        async with open_queue(redis_server.url):
            slow = lane(redis_client).enqueue("mlxq.run", job("slow"), on_success=Callback(wait_for_release))
            await until(lambda: redis_client.llen("begun") == 1)
    assert slow.get_status() == "queued"
    assert redis_client.hget(keys.job(slow.id), "mlxq_crashes") is None
    redis_client.rpush("release", 1)
