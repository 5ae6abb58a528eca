"""A job that is acknowledged may have to be on the disk first."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.client.queue import JobQueue
from jobs.errors import QueueUnavailable
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.store.connection import connect, connect_async
from jobs.store.redis_server import RedisServer, find_binary
from jobs.store.servers import disk
from tests.support.fake_runner import FakeRunner
from tests.support.running_worker import INTERACTIVE, job, open_queue, running_worker
from tests.support.waiting import PATIENCE_S, within

KEPT = SubmitOptions()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """The embedded Valkey: not every Redis has WAITAOF. It serves a worker."""
    with monkeypatch.context() as nothing_on_path:
        nothing_on_path.setenv("PATH", str(tmp_path))
        binary = find_binary()
    with RedisServer(tmp_path / "redis", binary) as server, running_worker(server.url, FakeRunner()):
        yield server


def open_with(server: RedisServer, *, wait_for_disk: bool) -> JobQueue:
    return JobQueue(connect_async(server.url), Settings(wait_for_disk=wait_for_disk))


async def test_an_asynchronous_job_is_acknowledged_once_it_is_on_the_disk(server: RedisServer):
    async with open_queue(server.url):
        pass  # the worker is there
    queue = open_with(server, wait_for_disk=True)
    await queue.start()
    try:
        tickets = await within(asyncio.gather(*(queue.submit(job(str(each)), KEPT) for each in range(50))))
        assert all(ticket.created for ticket in tickets)
        with connect(server.url) as client:
            calls = client.info("commandstats")["cmdstat_waitaof"]["calls"]
        assert 1 <= calls <= 3  # those that came together waited together
    finally:
        await queue.aclose()


async def test_what_is_not_on_the_disk_in_time_is_not_acknowledged(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk, "SYNC_MS", 100)
    async with open_queue(server.url):
        pass
    queue, other = open_with(server, wait_for_disk=True), open_with(server, wait_for_disk=False)
    with connect(server.url) as client:
        client.config_set("appendfsync", "no")  # the system syncs when it likes
    for each in (queue, other):
        await each.start()
    try:
        with pytest.raises(QueueUnavailable, match="not on its disk yet"):
            await within(queue.submit(job("a"), KEPT))
        assert (await within(other.submit(job("a"), KEPT))).created
        ticket = await within(
            queue.submit(job("a"), INTERACTIVE)
        )  # whoever waits for the answer sees it is done
        await queue.wait(ticket.id, PATIENCE_S)
        with connect(server.url) as client:
            client.config_set("appendonly", "no")
        with pytest.raises(QueueUnavailable, match="appendonly yes"):
            await within(queue.submit(job("a"), KEPT))
    finally:
        await queue.aclose()
        await other.aclose()
