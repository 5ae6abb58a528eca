"""Two worker processes with other files under one name, and a worker that finds another in its place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import redis
from msgspec.structs import replace

from jobs.stats import WorkerStats
from jobs.store import keys
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeRunner
from tests.support.folders import TINY_CHAT
from tests.support.running_worker import running_worker
from tests.support.waiting import PATIENCE_S, until, wait_until
from workers.queue.client import WorkerQueue
from workers.queue.fleet import Fleet
from workers.supervisor import CONFIGURATION_ERROR


def start(url: str, folder: Path) -> subprocess.Popen[str]:
    """A real worker that serves the folder as w."""
    environ = {
        **os.environ,
        "REDIS_URL": url,
        "MLXQ_MODELS": json.dumps([f"w={folder}"]),
        "MLXQ_LEASE_S": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "workers"], env=environ, stderr=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def test_a_worker_with_other_files_under_a_name_is_refused_at_its_start(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
):
    other = shutil.copytree(TINY_CHAT, tmp_path / "other")
    (other / "tokenizer_config.json").write_text("{}")
    first = start(redis_server.url, TINY_CHAT)
    second = None
    try:
        wait_until(lambda: redis_client.keys(keys.worker("*")) or first.poll() is not None)
        [name] = keys.names(redis_client.keys(keys.worker("*")), keys.worker(""))  # pyright: ignore[reportArgumentType]
        second = start(redis_server.url, other)
        _, said = second.communicate(timeout=PATIENCE_S)
        assert second.returncode == CONFIGURATION_ERROR
        assert f"mlxq worker: The worker {name} serves w from other files" in said
        assert first.poll() is None
    finally:
        for process in (first, second):
            if process is not None:
                process.terminate()
                process.communicate(timeout=PATIENCE_S)
        redis_client.delete(keys.STARTING)


async def test_a_worker_that_finds_another_in_its_place_stops(
    redis_server: RedisServer, redis_client: redis.Redis
):
    runner = FakeRunner()
    runner.info = replace(runner.info, digest="old")
    with running_worker(redis_server.url, runner) as worker:
        await until(lambda: redis_client.exists(keys.worker(worker.name)))
        redis_client.delete(f"mlxq:digests:{runner.info.id}")  # as after a sleep in which it counted as dead
        other = WorkerQueue(redis_client, "other", lease_s=60, max_crashes=3)
        other.announce(
            WorkerStats(name="other", models=("fake",), seen_at=0, jobs_in_hand=0, drain_rate={}), []
        )
        redis_client.hset(f"mlxq:digests:{runner.info.id}", "other", "new")
        assert Fleet(redis_client, "third").register([runner.info], 1) is not None
        await until(lambda: worker._is_broken)
    other.leave()
