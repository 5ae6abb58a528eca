"""Another Redis takes over: behind the same name, or named by sentinels. Everything goes on with the new one."""

import asyncio
import logging
from pathlib import Path

import pytest
import redis

from jobs.client.queue import JobQueue
from jobs.embed import EmbedResult
from jobs.errors import NoWorker, QueueUnavailable
from jobs.store import outage
from jobs.store.connection import connect, connect_async, connect_once
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.redis_servers.forwarder import forwarding
from tests.support.redis_servers.group import redis_group
from tests.support.running_worker import open_queue, run, running_worker, vectors
from tests.support.waiting import until, until_async, within


async def _runs(queue: JobQueue, text: str) -> EmbedResult | None:
    """None where Redis cannot be used yet, or the worker has not told the new one that it lives."""
    try:
        return await within(run(queue, text))
    except (QueueUnavailable, NoWorker):
        return None


async def _is_served(queue: JobQueue, text: str) -> None:
    found = await until_async(lambda: _runs(queue, text))
    assert vectors(found) == [expected_vector(text)]


async def test_a_replica_behind_the_same_name_is_named_and_left_once_the_name_leads_to_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outage, "LATE_S", 0)
    caplog.set_level(logging.WARNING)
    with (
        RedisServer(tmp_path / "old") as old,
        RedisServer(tmp_path / "new") as new,
        forwarding(tmp_path / "old" / "redis.sock") as name,
        connect(old.url) as old_client,
        running_worker(f"redis://127.0.0.1:{name.port}", FakeRunner()),
    ):
        assert new.running
        async with open_queue(f"redis://127.0.0.1:{name.port}") as queue:
            await _is_served(queue, "before")
            old_client.replicaof("127.0.0.1", 1)
            await until(lambda: "Redis cannot be used: read-only replica" in caplog.text)
            with pytest.raises(QueueUnavailable, match="read-only replica"):
                await within(run(queue, "meanwhile"))
            name.target = tmp_path / "new" / "redis.sock"  # its connections stay where they are
            await _is_served(queue, "after")


async def test_a_failover_by_sentinels_is_followed(tmp_path: Path):
    with redis_group(tmp_path) as group, running_worker(group.url, FakeRunner()):
        async with open_queue(group.url) as queue:
            await _is_served(queue, "before")

            group.master.kill()
            await _is_served(queue, "after the master's death")
            assert group.master_port() == group.replica.port

            group.master.start()
            await until(lambda: group.replica.info().get("slave0", {}).get("state") == "online")
            await asyncio.to_thread(group.fail_over)  # both live: connections to the old master stay open
            await _is_served(queue, "after the change of roles")


async def test_sentinels_that_know_no_master_are_named(tmp_path: Path):
    with redis_group(tmp_path) as group:
        url = group.url.replace("/mlxq", "/another")
        with connect_once(url) as client, pytest.raises(redis.ConnectionError) as found:
            client.ping()
        assert outage.cause_of(found.value) == "not reachable: its sentinels name no master"
        async with connect_async(url) as client:
            with pytest.raises(redis.ConnectionError) as found:
                await client.ping()
        assert outage.cause_of(found.value) == "not reachable: its sentinels name no master"
