"""Machines whose clocks differ: only Redis's counts."""

import time

import pytest
import redis

from jobs.job import Lane, SubmitOptions
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import expected_vector
from tests.support.running_worker import open_queue, run, vectors, worker_process


@pytest.mark.parametrize("ahead_s", [600, -600])
async def test_an_api_whose_clock_is_ten_minutes_off_finds_the_worker(
    redis_server: RedisServer, redis_client: redis.Redis, ahead_s: float, monkeypatch: pytest.MonkeyPatch
):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    with worker_process(redis_server.url, "w1") as process:
        async with open_queue(redis_server.url) as queue:
            options = SubmitOptions(lane=Lane.INTERACTIVE, awaited=True, ttl_s=60)
            assert vectors(await run(queue, "hello", options=options)) == [expected_vector("hello")]
            assert [info.id for info in await queue.models()] == ["fake"]
            [stats] = (await queue.stats()).workers
            assert stats.seen_at == pytest.approx(real(), abs=60)
        process.terminate()
        assert process.wait(60) == 0
