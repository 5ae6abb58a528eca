"""The chaos driver's own judgement of what may be lost."""

import asyncio
import random
import time
from pathlib import Path

import pytest

from jobs.process.cancelling import cancel_and_wait
from jobs.store.connection import connect
from jobs.store.redis_server import RedisServer
from tests.chaos.faults.losses import (
    CLOCK,
    Heard,
    Loss,
    Stalls,
    cut_file,
    loss_by_kill,
    may_be_lost,
    was_told_of_lost,
)
from tests.support.waiting import wait_until


def incremental(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "redis" / "appendonlydir").glob("*.incr.aof")
    return file


@pytest.mark.parametrize("seed", range(4))
def test_a_file_that_was_cut_has_all_that_was_written_before_the_tick_and_nothing_after_it(
    tmp_path: Path, seed: int
):
    server = RedisServer(tmp_path / "redis")
    with server:
        client = connect(server.url)
        for second in range(10):
            client.set(CLOCK, f"{second}.5")
            client.eval("redis.call('SET', KEYS[1], 1); redis.call('RPUSH', 'all', KEYS[1])", 1, f"{second}")  # pyright: ignore
        wait_until(lambda: b"\n9.5\r" in incremental(tmp_path).read_bytes())  # Redis may be syncing its file
        server.kill()

        tick = cut_file(tmp_path / "redis", 6.0, random.Random(seed))

        server.start()
        assert tick == 5.5
        assert client.lrange("all", 0, -1) == [b"0", b"1", b"2", b"3", b"4"]
        assert not client.exists("5")
        client.close()


def test_a_file_without_a_tick_so_old_is_left_alone(tmp_path: Path):
    with RedisServer(tmp_path / "redis") as server:
        client = connect(server.url)
        client.set(CLOCK, "7.0")
        wait_until(lambda: b"\n7.0\r" in incremental(tmp_path).read_bytes())
        server.kill()

        assert cut_file(tmp_path / "redis", 6.0, random.Random(0)) is None

        server.start()
        assert client.get(CLOCK) == b"7.0"
        client.close()


def test_what_a_killed_redis_had_not_written_into_its_file_is_lost(tmp_path: Path):
    with RedisServer(tmp_path / "redis") as server:
        client = connect(server.url)
        client.set(CLOCK, "7.0")
        wait_until(lambda: b"\n7.0\r" in incremental(tmp_path).read_bytes())
        server.kill()
        client.close()

    assert loss_by_kill(tmp_path / "redis", written=7.0, killed_at=9.0) is None
    assert loss_by_kill(tmp_path / "redis", written=8.5, killed_at=9.0) == Loss(7.0, 9.0)


LOSSES = [Loss(since=10.0, killed_at=11.0)]


@pytest.mark.parametrize(
    ("sent_at", "acknowledged_at", "may"),
    [(9.0, 9.9, False), (9.0, 10.1, True), (10.9, 14.0, True), (11.1, 11.2, False)],
)
def test_only_what_was_under_way_in_the_lost_time_may_be_lost(
    sent_at: float, acknowledged_at: float, may: bool
):
    assert may_be_lost(LOSSES, sent_at, acknowledged_at) is may
    assert not may_be_lost([], sent_at, acknowledged_at)


def test_only_what_was_heard_in_the_lost_time_may_have_changed():
    assert [was_told_of_lost(LOSSES, Heard(at)) for at in (9.9, 10.0, 11.0, 11.1)] == [
        False,
        True,
        True,
        False,
    ]
    assert was_told_of_lost(LOSSES, Heard(11.5, late_s=0.6))


async def test_a_process_that_was_held_up_heard_what_it_hears_so_much_later():
    stalls = Stalls()
    watching = asyncio.create_task(stalls.run())
    await asyncio.sleep(0)
    time.sleep(0.3)
    assert stalls.heard().late_s >= 0.3
    await asyncio.sleep(0)
    assert stalls.heard().late_s >= 0.3
    await cancel_and_wait(watching)
