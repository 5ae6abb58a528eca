"""A Redis that answers and takes no writes is a Redis that is away: results wait for it, and nothing of what waits in
the queues is spent on it meanwhile.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import redis
from msgspec.structs import replace

from jobs.client.queue import JobQueue
from jobs.job import SubmitOptions
from jobs.store import keys
from jobs.store.connection import connect
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.redis_servers.append_only_file import full_disk
from tests.support.running_worker import ThreadWorker, job, open_queue, running_worker, vectors
from tests.support.waiting import PATIENCE_S, until
from workers.loops import result

KEPT = SubmitOptions(result_ttl_s=600)
TEXTS = [f"text {number}" for number in range(6000)]
"""Their vectors take more than fits into a script: FINISH refers to a key beside it."""
BACKLOG = 4


class _Place(NamedTuple):
    server: RedisServer
    client: redis.Redis
    folder: Path


@contextmanager
def _full_memory(place: _Place):
    place.client.config_set("maxmemory", "1")
    yield
    place.client.config_set("maxmemory", "0")


@contextmanager
def _replica(place: _Place):
    place.client.replicaof("127.0.0.1", 1)
    yield
    place.client.replicaof("NO", "ONE")


@contextmanager
def _without_rights(place: _Place):
    place.client.execute_command("ACL", "SETUSER", "default", "-set", "-hset")
    yield
    place.client.execute_command("ACL", "SETUSER", "default", "+set", "+hset")


@contextmanager
def _full_disk(place: _Place):
    with full_disk(place.client, place.folder / "appendonlydir"):
        yield


REFUSALS: dict[str, Callable[[_Place], AbstractContextManager[None]]] = {
    "its memory is full": _full_memory,
    "read-only replica": _replica,
    "its user may not do what mlxq needs": _without_rights,
    "disk full": _full_disk,
}


@asynccontextmanager
async def _at_work(folder: Path, runner: FakeRunner) -> AsyncIterator[tuple[_Place, ThreadWorker, JobQueue]]:
    with (
        RedisServer(folder) as server,
        connect(server.url) as client,
        running_worker(server.url, runner, release=runner.gate) as worker,
    ):
        async with open_queue(server.url) as queue:
            yield _Place(server, client, folder), worker, queue


def _statuses(client: redis.Redis, ids: list[str]) -> list[bytes | None]:
    return [client.hget(keys.job(each), "status") for each in ids]  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("cause", REFUSALS)
async def test_results_wait_for_a_redis_that_refuses_them_and_nothing_is_claimed_meanwhile(
    cause: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)
    runner = FakeRunner()
    runner.gate.clear()
    async with _at_work(tmp_path / "redis", runner) as (place, worker, queue):
        first = (await queue.submit(job(*TEXTS), KEPT)).id
        await until(lambda: runner.batches)
        waiting = [(await queue.submit(job(*TEXTS), KEPT)).id for _ in range(BACKLOG)]

        with REFUSALS[cause](place):
            runner.gate.set()
            await until(lambda: worker._queue.outage.refuses_work)
            before = _statuses(place.client, waiting)
            ticks = worker.ticks
            await until(lambda: worker.ticks > ticks + 30)  # three times as long as a lease
            assert _statuses(place.client, [first]) == [b"started"]
            assert _statuses(place.client, waiting) == before

        for each in (first, *waiting):
            found = vectors(await queue.wait(each, PATIENCE_S))
            assert found == [expected_vector(text) for text in TEXTS]
            assert (await queue.view(each)).attempts == 1
    said = [each.message for each in caplog.records if "Redis can" in each.message]
    assert sorted({line.removesuffix(f": {tmp_path / 'redis'}").partition(" (")[0] for line in said}) == [
        "Redis can be used again",
        f"Redis cannot be used: {cause}",
    ]


async def test_a_worker_of_a_full_redis_is_known_to_live(tmp_path: Path):
    runner = FakeRunner()
    runner.info = replace(runner.info, digest="of its files")  # which it registers with every announcement
    async with _at_work(tmp_path / "redis", runner) as (place, worker, _):
        with _full_memory(place):
            ticks = worker.ticks
            await until(lambda: worker.ticks > ticks + 30)  # three times as long as its announcement holds
            assert place.client.exists(keys.worker(worker.name))


async def test_a_worker_of_a_full_redis_stays_in_the_lists_of_workers(tmp_path: Path):
    async with _at_work(tmp_path / "redis", FakeRunner()) as (place, worker, queue):
        with _full_memory(place):
            place.client.expire(keys.WORKER_PREFIX + worker.name, 2)
            await until(lambda: place.client.ttl(keys.WORKER_PREFIX + worker.name) > 2)
            assert [each.name for each in (await queue.stats()).workers] == [worker.name]


async def test_a_job_of_a_full_redis_can_be_waited_for(tmp_path: Path):
    runner = FakeRunner()
    runner.gate.clear()
    async with _at_work(tmp_path / "redis", runner) as (place, _, queue):
        ticket = await queue.submit(job("a"), KEPT)
        await until(lambda: runner.batches)
        with _full_memory(place):
            waiting = asyncio.create_task(queue.wait(ticket.id, PATIENCE_S))
            await until(lambda: waiting.done() or place.client.hexists(keys.job(ticket.id), "mlxq_waiters"))
            runner.gate.set()
            assert vectors(await waiting) == [expected_vector("a")]


async def test_a_worker_that_stops_while_its_result_is_refused_leaves_the_job_to_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(result, "GIVE_UP_S", 0.5)
    runner = FakeRunner()
    runner.gate.clear()
    async with _at_work(tmp_path / "redis", runner) as (place, worker, queue):
        ticket = await queue.submit(job(*TEXTS), KEPT)
        await until(lambda: runner.batches)
        with _full_memory(place):
            runner.gate.set()
            await until(lambda: worker._queue.outage.refuses_work)
            worker.stop()
            await until(lambda: worker.has_ended)
        with running_worker(place.server.url, FakeRunner()):
            found = vectors(await queue.wait(ticket.id, PATIENCE_S))
    assert found == [expected_vector(text) for text in TEXTS]


async def test_a_single_result_that_is_refused_stops_the_claims_of_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(result, "MAX_REFUSALS", 1)  # of a command that Redis would always refuse
    runner = FakeRunner()
    runner.gate.clear()
    async with _at_work(tmp_path / "redis", runner) as (place, worker, queue):
        first = (await queue.submit(job(*TEXTS), KEPT)).id
        await until(lambda: runner.batches)
        # All but mlxq:blob:…, where large results lie.
        place.client.execute_command(
            "ACL", "SETUSER", "default", "resetkeys", "~rq:*", "~mlxq:[^b]*", "~mlxq:be*"
        )
        runner.gate.set()
        await until(lambda: worker._queue.outage.refuses_work)
        small = [(await queue.submit(job(f"small {number}"), KEPT)).id for number in range(BACKLOG)]
        ticks = worker.ticks
        await until(lambda: worker.ticks > ticks + 30)
        assert _statuses(place.client, small) == [b"queued"] * BACKLOG

        place.client.execute_command("ACL", "SETUSER", "default", "allkeys")
        for each in (first, *small):
            await queue.wait(each, PATIENCE_S)
